"""One instance of a topology: the nodes, the controller, and what is common to them."""

import itertools
import os
import pathlib
import shutil

from . import flags
from .ground import Ground
from .node import Node
from .objects import ConfigDirectory

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Topology(Ground):
    """`families` says which addresses pods get; nodes have both. With `mesh`, heddle-cni ends the chain.
    `agent_flags` go to every agent, e.g. ("--backend", "epoll"). With `installs` the chain is without heddle-cni, and
    agents put it there."""

    def __init__(self, nodes=2, families=("ipv4",), mesh=False, binaries=None, agent_flags=(), installs=False):
        super().__init__()
        self.families = tuple(families)
        self.mesh = mesh
        self.installs = installs
        self.agent_flags = tuple(agent_flags)
        self.binaries = pathlib.Path(binaries or os.environ.get("HEDDLE_BIN", ROOT / "build/release/bin"))
        self.plugin_dirs = ["/usr/lib/cni", self.binaries]
        self.pin_root = pathlib.Path("/sys/fs/bpf") / self.prefix
        self._node_count = nodes
        self.controller = None

    def binary(self, name):
        path = self.binaries / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not built; run: cmake --build {self.binaries.parent} --target {name}")
        return path

    def _build(self):
        self.defer(lambda: shutil.rmtree(self.pin_root, ignore_errors=True))
        self.controller_dir = self.dir / "controller"
        self.controller_dir.mkdir(mode=0o700)
        self.config = ConfigDirectory(self.dir / "config")
        self.nodes = [Node(self, index) for index in range(1, self._node_count + 1)]
        for node, other in itertools.permutations(self.nodes, 2):
            node.route_to(other)
        for node in self.nodes:  # The control machine reaches pods, too: a client from outside the cluster.
            for version in (4, 6):
                self.fabric.ip(f"-{version}", "route", "add", node.pod_subnet(version), "via", node.address(version))

    def start_controller(self, *extra):
        self.controller = self.control.spawn(
            [self.binary("heddle-controller"), *flags.controller(self), *extra], "heddle-controller")
        self.controller.wait_ready(self.controller_is_ready, "controller is ready")
        return self.controller

    def controller_is_ready(self):
        done = self.control.run(["curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}",
                                 "http://127.0.0.1:15014/healthz/ready"], check=False)
        return done.stdout == "200"

    def start_pod(self, node, spec):
        """Binds the pod (its YAML, without status), runs ADD, and publishes its addresses, as a kubelet does."""
        self.config.put_pod(spec, node.name)
        pod = node.add_pod(spec)
        self.config.put_pod(spec, node.name, pod.addresses)
        return pod
