"""What nobody in the mesh says: the wire of a node, and the sockets of a pod."""

import dataclasses
import itertools
import pathlib
import re
import time

from topology.capture import Capture
from topology.process import Place
from topology.waiting import wait_until

HBONE = 15008
# The mesh's own: agents to the controller. Not between pods of the mesh.
_BEGINNINGS = "( tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn ) or udp port 9"
_SYN = re.compile(r"(?P<time>[\d.]+) IP (?P<source>[\d.]+)\.\d+ > (?P<target>[\d.]+)\.(?P<port>\d+): ")
# Between the first tunnel to a pod and the last worker that knows that the pod has tunnels.
SETTLED_SECONDS = 0.5
_COUNT = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Syn:
    when: float
    source: str
    target: str
    port: int


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
        """When a last datagram to the node is on record, so is everything before it."""
        if self._stopped:
            return
        self._stopped = True
        last = f"complete {next(_COUNT)}".encode()
        self._cluster.control.run(["sh", "-c", f"printf '{last.decode()}' | nc -u -q 0 {self._node.address} 9"])
        self._capture.stop(lambda record: last in record)

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
    """A LinkWitness over a whole suite: since a node has first reached an address by HBONE, its pods of the mesh
    reach it by nothing else, until it is said that the address is nobody's (its pod goes, or leaves the mesh)."""

    def __init__(self, cluster, node):
        self._link = LinkWitness(cluster, node)
        self._pods = {}  # address -> [(since, until)] of pods of the mesh
        self.hbone_count = 0

    def add(self, address):
        terms = self._pods.setdefault(address, [])
        if not terms or terms[-1][1] < float("inf"):
            terms.append([time.time(), float("inf")])

    def remove(self, address):
        if self._pods.get(address):
            self._pods[address][-1][1] = min(self._pods[address][-1][1], time.time())

    def _term(self, syn, address):
        return next((term for term in self._pods.get(address, ()) if term[0] <= syn.when <= term[1]), None)

    def leaks(self):
        """Ends it."""
        reached, found = {}, []
        for syn in self._link.syns():
            source, target = self._term(syn, syn.source), self._term(syn, syn.target)
            if not source or not target:
                continue
            key = (syn.source.rpartition(".")[0], syn.target, target[0])  # A /24 is a node.
            if syn.port == HBONE:
                self.hbone_count += 1
                reached.setdefault(key, syn.when)
            elif syn.when > reached.get(key, float("inf")) + SETTLED_SECONDS:
                found.append(syn)
        return found


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
