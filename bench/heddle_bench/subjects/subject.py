"""What every subject has."""

import pathlib

from topology import wait_until

from .. import tls
from ..ground import cgroup_of

ENTRY_PORT = 9100  # Where the first proxy listens for the client,
LINK_PORT = 9200   # and the second for the first.


class Subject:
    """`client` is the place of the load client and `address` where it connects to; `server` is the place of the server.
    `grounds` are the topologies of the run."""

    name = None
    encrypted = True
    only = None  # Or the names of the workloads that it is for.
    per_connection = False  # Whether each connection has a tunnel of its own.

    def __init__(self, grounds):
        self.grounds = grounds
        self.ground = grounds.plain
        self.handshake = None  # What the tunnel agreed on.
        self.notes = []

    @property
    def client(self):
        return self.ground.client

    @property
    def server(self):
        return self.ground.server

    @property
    def address(self):
        return self.ground.server_address

    def start(self):
        """Returns when a connection is carried."""

    def stop(self):
        pass

    def stop_first(self):
        """Ends the proxy beside the client,"""
        raise NotImplementedError

    def launch_first(self):
        """and starts it again; may wait for more than its process."""
        raise NotImplementedError

    def proxies(self):
        """{"a": process, "b": process}: the proxy beside the client, and that beside the server."""
        return {}

    def components(self):
        """{name: cgroup directory} whose CPU time is told apart."""
        return {"client": self.client.cgroup.path, "server": self.server.cgroup.path,
                **{f"proxy_{side}": cgroup_of(process) for side, process in self.proxies().items()}}

    def pids(self, side):
        """All processes of one proxy."""
        folder = self.components()[f"proxy_{side}"]
        return [int(pid) for pid in (pathlib.Path(folder) / "cgroup.procs").read_text().split()]

    def tunnels(self):
        """How many connections the proxies have between them now."""
        raise NotImplementedError

    def carries(self):
        """Whether a few exchanges come back as they should."""
        done = self.client.run([self.ground.load, "exchange", "--to", self.address, "--warm-up", "0", "--seconds",
                                "0.05"], check=False)
        return done.returncode == 0

    def note_handshake(self, recording):
        hellos = tls.server_hellos(recording)
        self.handshake = ", ".join(sorted({tls.describe(hello) for hello in hellos})) or "none seen"
        if not tls.is_pinned(hellos):
            self.notes.append(f"not pinned: {self.handshake}")


class Pair(Subject):
    """Two processes of a peer on the nodes' own addresses, the client being told where the first listens."""

    ports = 0  # Added to both ports, so that all peers can run at the same time.

    def __init__(self, grounds):
        super().__init__(grounds)
        self._places, self._processes = {}, {}

    @property
    def entry(self):
        return f"{self.ground.topology.nodes[0].address(4)}:{ENTRY_PORT + self.ports}"

    @property
    def link(self):
        return f"{self.ground.topology.nodes[1].address(4)}:{LINK_PORT + self.ports}"

    @property
    def address(self):
        return self.entry

    @property
    def folder(self):
        path = self.ground.topology.dir / self.name
        path.mkdir(exist_ok=True)
        return path

    def argv(self, side):
        """The command line of one side; writes its configuration."""
        raise NotImplementedError

    def start(self):
        recording = self.ground.record(self.name, LINK_PORT + self.ports) if self.encrypted else None
        for index, side in ((1, "b"), (0, "a")):
            if side not in self._places:
                self._places[side] = self.ground.place(index, self.name)
            self._launch(side)
        self._processes["a"].wait_ready(self.carries, f"{self.name} carries a connection", 20)
        if recording is not None:
            recording.stop(tls.server_hellos)
            self.note_handshake(recording.bytes())

    def _launch(self, side):
        self._processes[side] = self._places[side].spawn(self.argv(side), f"{self.name}-{side}")

    def tunnels(self):
        return established(self._places["a"], LINK_PORT + self.ports)

    def stop_first(self):
        self._places["a"].stop_all()

    def launch_first(self):
        self._launch("a")

    def stop(self):
        for place in self._places.values():
            place.stop_all()
        self._processes.clear()

    def proxies(self):
        return dict(sorted(self._processes.items()))


def established(place, port):
    """Connections from this place to that port of others."""
    return len(place.run(["ss", "-Htn", "state", "established", f"dport = :{port}"]).stdout.splitlines())


def wait_carried(subject, seconds=20):
    wait_until(subject.carries, f"{subject.name} carries a connection", seconds)
