"""The two topologies of a run, both of them two nodes with a pod each: `plain` is what peers see, and in `mesh` runs
Heddle as it does for users. Nothing of one is in the way of the other.

    client pod -- node A ======== node B -- server pod          (veth pairs, a bridge per node, a bridge as the fabric)
"""

import contextlib
import pathlib

from topology import PodSpec, Topology, wait_until
from topology import mesh_objects as objects
from topology.capture import Capture
from topology.cgroup import cgroup2_root
from topology.process import Place

from . import tls

PORT = 9000
NAMESPACE = "bench"
FAMILIES = ("ipv4", "ipv6")
FLEET = 16, 48


class Ground:
    """The plain topology with the load server. Use as a context manager."""

    def __init__(self, binaries=None):
        self.topology = Topology(nodes=2, families=FAMILIES, binaries=binaries)
        self.load = self.topology.binary("heddle-bench-load")

    def __enter__(self):
        self.topology.__enter__()
        try:
            self.client = self._pod("client", 0)
            self.server = self._pod("server", 1)
            start_server(self.load, self.server)
        except BaseException:
            self.topology.close()
            raise
        return self

    def __exit__(self, *unused):
        self.topology.close()

    def _pod(self, name, node):
        return self.topology.nodes[node].add_pod(PodSpec(name, NAMESPACE))

    @property
    def server_address(self):
        return f"{self.server.address()}:{PORT}"

    def record(self, name, port):
        """A recording of what the nodes say to each other on a port; the caller stops it."""
        file = self.topology.dir / f"{name}.pcap"
        return Capture(self.topology.control, "node1", file, f"tcp port {port}")

    def place(self, node_index, name):
        """A process's place on a node with a cgroup of its own: for a peer."""
        node = self.topology.nodes[node_index]
        place = Place(node.netns.path, node.cgroup_root.child(name), node.dir / "logs")
        self.topology.defer(place.stop_all)
        return place


class MeshGround:
    """A controller, two agents, and a pair of pods whose traffic they carry; STRICT."""

    def __init__(self, binaries=None, agent_flags=()):
        self.topology = Topology(nodes=2, families=FAMILIES, mesh=True, binaries=binaries, agent_flags=agent_flags)
        self._fleet, self._pairs = None, []
        self.load = self.topology.binary("heddle-bench-load")

    def __enter__(self):
        self.topology.__enter__()
        try:
            self._start()
        except BaseException:
            self.topology.close()
            raise
        return self

    def __exit__(self, *unused):
        self.topology.close()

    def _start(self):
        config = self.topology.config
        config.put("cluster", objects.namespace(NAMESPACE, True),
                   *(objects.node(node.name, node.address(4)) for node in self.topology.nodes),
                   *(objects.service_account(name, NAMESPACE) for name in ("client", "server")))
        config.put("mtls", objects.peer_authentication("default", NAMESPACE, "STRICT"))
        self.topology.start_controller()
        for node in self.topology.nodes:
            node.start_agent()
        self.recording = self.record("handshake")
        self.client = self.pod("client", 0)
        self.server = self.pod("server", 1)
        start_server(self.load, self.server)
        wait_until(self._is_tunnelled, "the mesh carries a connection", 30)
        self.recording.stop(tls.server_hellos)

    def record(self, name):
        """A recording of what the two agents say to each other; the caller stops it."""
        return Capture(self.topology.control, "node1", self.topology.dir / f"{name}.pcap", "tcp port 15008")

    def pod(self, name, node, service_account=None):
        spec = PodSpec(name, NAMESPACE, service_account=service_account or name, labels={"app": name})
        return self.topology.start_pod(self.topology.nodes[node], spec)

    def fleet(self):
        """(FLEET[0] client pods, FLEET[1] server pods) for connections that share nothing; made once. One process is
        the server of them all, as one is of `server`."""
        if self._fleet is None:
            self._fleet = ([self.pod(f"client{number}", 0, "client") for number in range(FLEET[0])],
                           [self.pod(f"server{number}", 1, "server") for number in range(FLEET[1])])
            _start_load(self.load, self._fleet[1][0], "0.0.0.0", "--in", *(pod.netns.path for pod in self._fleet[1]))
        return self._fleet

    @property
    def server_address(self):
        return f"{self.server.address()}:{PORT}"

    def pairs(self, size):
        """[(client pod, server pod)], so many, no two with an identity in common; made once."""
        while len(self._pairs) < size:
            number = len(self._pairs)
            names = f"pair-client{number}", f"pair-server{number}"
            self.topology.config.put(f"pair{number}", *(objects.service_account(name, NAMESPACE) for name in names))
            client, server = self.pod(names[0], 0), self.pod(names[1], 1)
            start_server(self.load, server, "--workers", 1)
            self._pairs.append((client, server))
        return self._pairs[:size]

    def wait_known(self, uids, nodes=None, gone=False, seconds=180):
        """Until the agents of these nodes (of both) know all of these, or none of them any more; also on disk."""
        for node in nodes or self.topology.nodes:
            wait_until(lambda: _count_in(pathlib.Path(node.state_dir) / "state", uids) == (0 if gone else len(uids)),
                       f"{node.name} {'forgets' if gone else 'knows'} {', '.join(uids[:3])}", seconds, 0.5)

    def _is_tunnelled(self):
        done = self.client.run([self.load, "exchange", "--to", self.server_address, "--warm-up", "0", "--seconds",
                                "0.05"], check=False)
        tunnels = self.client.run(["ss", "-Htn", "state", "established", "dport = :15008"]).stdout
        return done.returncode == 0 and str(self.server.address()) in tunnels


def start_server(load, place, *flags):
    """On all IPv4 addresses and on the pod's IPv6 address, each by a process of its own."""
    for address in ("0.0.0.0", f"[{place.address(6)}]"):
        _start_load(load, place, address, *flags)


def _start_load(load, place, address, *flags):
    process = place.spawn([load, "serve", "--listen", f"{address}:{PORT}", *flags], "load-server")
    process.wait_ready(lambda: "listening" in process.output(), "the load server listens")


def _count_in(file, texts):
    content = file.read_bytes() if file.exists() else b""
    return sum(text.encode() in content for text in texts)


def cgroup_of(process):
    """The directory of the cgroup2 group in which a process is now."""
    for line in pathlib.Path(f"/proc/{process.pid}/cgroup").read_text().splitlines():
        if line.startswith("0::"):
            return cgroup2_root() / line[4:]
    raise LookupError(f"{process.name} is in no cgroup2 group")


class Grounds:
    """All that subjects stand on; what nobody asks for is not made. Use as a context manager."""

    def __init__(self, binaries=None, agent_flags=()):
        self._binaries = binaries
        self._agent_flags = agent_flags
        self._exits = contextlib.ExitStack()
        self._mesh = None

    def __enter__(self):
        self.plain = self._exits.enter_context(Ground(self._binaries))
        try:
            authority = tls.Authority(self.plain.topology.dir / "certificates")
            self._identities = {side: authority.issue(f"{side}.bench") for side in "ab"}
        except BaseException:
            self._exits.close()
            raise
        return self

    def __exit__(self, *unused):
        self._exits.close()

    def mesh(self):
        """Made when first asked for."""
        if self._mesh is None:
            self._mesh = self._exits.enter_context(MeshGround(self._binaries, self._agent_flags))
        return self._mesh

    def identity(self, side):
        """The files of the proxy beside the client, "a", or beside the server, "b"."""
        return self._identities[side]

    def cgroups(self):
        """{name: directory} of everything that is ours, and the machine."""
        ours = {"topology_plain": self.plain.topology.cgroup.path}
        if self._mesh is not None:
            ours["topology_mesh"] = self._mesh.topology.cgroup.path
        return {"machine": cgroup2_root(), **ours}
