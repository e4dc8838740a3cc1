"""What nobody in the mesh says: the wire of a node, and the sockets of a pod."""

import dataclasses
import itertools
import pathlib
import re
import time

from kube.cluster.node_config import PODS
from topology.capture import Capture
from topology.process import Place
from topology.waiting import wait_until

HBONE = 15008
# The mesh's own: agents to the controller. Not between pods of the mesh.
_BEGINNINGS = "( tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn ) or udp port 9"
_SYN = re.compile(r"(?P<time>[\d.]+) IP (?P<source>[\d.]+)\.\d+ > (?P<target>[\d.]+)\.(?P<port>\d+): ")
# TCP between pods: in clear every packet of it, of HBONE its beginnings.
_OF_PODS = (f"( tcp and src net {PODS} and dst net {PODS} and ( not port {HBONE} or "
            "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn ) ) or udp port 9")
_PACKET = re.compile(r"(?P<time>[\d.]+) .*?IP (?P<source>[\d.]+)\.(?P<source_port>\d+) > "
                     r"(?P<target>[\d.]+)\.(?P<target_port>\d+): Flags \[(?P<flags>[^\]]*)\]")
# A change at the API server is known on all nodes by then: who dials a pod before they have heard of it dials an
# address that is nobody's.
HEARD_SECONDS = 1.0
# What begins with the same ports after that is another connection, and no SYN that is sent again.
_AGAIN_SECONDS = 60
_COUNT = itertools.count(1)


def end_in_order(capture, cluster, node=None):
    """When a last datagram to a node is on record, so is everything before it."""
    last = f"complete {next(_COUNT)}".encode()
    address = (node or cluster.nodes[0]).address
    cluster.control.run(["sh", "-c", f"printf '{last.decode()}' | nc -u -q 0 {address} 9"])
    capture.stop(lambda record: last in record)


@dataclasses.dataclass(frozen=True)
class Syn:
    when: float
    source: str
    target: str
    port: int


@dataclasses.dataclass(frozen=True)
class Leak:
    when: float
    source: str  # With their ports.
    target: str
    flags: str


class LinkWitness:
    """Records how each TCP connection begins that enters or leaves a node, on the other end of its link, from
    construction until stop()."""

    def __init__(self, cluster, node):
        self._cluster = cluster
        self._node = node
        file = cluster.dir / f"{node.name}-{next(_COUNT)}.pcap"
        self._capture = Capture(cluster.control, node.name, file, _BEGINNINGS)
        self._stopped = False

    def stop(self):
        if not self._stopped:
            self._stopped = True
            end_in_order(self._capture, self._cluster, self._node)

    def syns(self):
        """Every first packet of the record; ends it."""
        self.stop()
        lines = self._capture.packets("tcp", timed=True)
        return [Syn(float(m["time"]), m["source"], m["target"], int(m["port"])) for m in map(_SYN.match, lines) if m]

    def between(self, addresses):
        """Those from one of these addresses to another."""
        return [syn for syn in self.syns() if syn.source in addresses and syn.target in addresses]

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.stop()


class Watch:
    """Records the links of all nodes over a whole suite. Between two pods of the mesh, known by the addresses that the
    API gives them, there is HBONE and nothing else, from the moment on when both are Ready, and nodes have heard of it,
    until it is said that one is not of the mesh any more (it goes, or is let go). What had begun before goes on as it
    was."""

    def __init__(self, cluster):
        """The end of each link that is not the node's: what is lost with a node's power does not end the record."""
        self._cluster = cluster
        self._pods = {}  # address -> [[since, until]] of pods of the mesh
        self.hbone = set()  # Addresses of pods between which tunnels were seen.
        self._capture = Capture(cluster.control, "any", cluster.dir / f"links-{next(_COUNT)}.pcap", _OF_PODS)

    def add(self, address, since):
        """From then on, in seconds since 1970, the address is that of a pod of the mesh that is Ready."""
        terms = self._pods.setdefault(address, [])
        if not terms or terms[-1][1] < since:
            terms.append([since + HEARD_SECONDS, float("inf")])

    def remove(self, address):
        if self._pods.get(address):
            self._pods[address][-1][1] = min(self._pods[address][-1][1], time.time())

    def leaks(self):
        """Every packet in clear of a connection that began between pods of the mesh; ends it."""
        end_in_order(self._capture, self._cluster)
        began, found = {}, []
        for packet in map(_PACKET.match, self._capture.packets("tcp", timed=True, brief=False)):
            source, target = packet.group("source", "source_port"), packet.group("target", "target_port")
            ends, when = frozenset((source, target)), float(packet["time"])
            if "S" in packet["flags"] and "." not in packet["flags"] and when - began.get(ends, 0) > _AGAIN_SECONDS:
                began[ends] = when
            if not all(self._is_meshed(source[0], at) and self._is_meshed(target[0], at)
                       for at in (began.get(ends, when), when)):
                continue
            if HBONE in (int(source[1]), int(target[1])):
                self.hbone |= {source[0], target[0]}
            else:
                found.append(Leak(when, ":".join(source), ":".join(target), packet["flags"]))
        return found

    def _is_meshed(self, address, when):
        return any(since <= when <= until for since, until in self._pods.get(address, ()))


class _Cgroups:
    def __init__(self, paths):
        self.paths = paths


def inside(node, pod):
    """A Place in the pod's network namespace, and in the cgroup of one of its containers: a process elsewhere is one
    that no hook sees."""
    def found():
        for folder in node.cgroup_root.trees[0].path.rglob(f"*{pod['metadata']['uid']}*/*"):
            procs = folder / "cgroup.procs"
            if procs.is_file() and (pids := procs.read_text().split()):
                return pids[0], folder
        return None

    pid, cgroup = wait_until(found, f"{pod['metadata']['name']} has a process", 10)
    return Place(f"/proc/{pid}/ns/net", _Cgroups([cgroup]), pathlib.Path(node.dir / "logs"))


def opened_outside(node, pod, meshed):
    """[(address, port)] of the pod's own connections that lead to pods of the mesh, and not by HBONE."""
    listening, opened = set(), []
    for line in inside(node, pod).run(["ss", "-Htan"]).stdout.splitlines():
        state, _, _, local, peer = line.split()[:5]
        (here, port), (there, there_port) = _split(local), _split(peer)
        if state == "LISTEN":
            listening.add(port)
        else:
            opened.append((here, port, there, there_port))
    own = pod["status"]["podIP"]
    return [(there, there_port) for here, port, there, there_port in opened
            if here == own and port not in listening and there != own and there in meshed and there_port != str(HBONE)]


def _split(end):
    address, port = end.rsplit(":", 1)
    return address.strip("[]").removeprefix("::ffff:"), port
