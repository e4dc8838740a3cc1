"""One instance of a topology: the fabric, the nodes, the controller, and the way back to nothing."""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from . import flags
from .cgroup import Cgroup, cgroup2_root
from .netns import Netns
from .node import Node
from .objects import ConfigDirectory
from .process import Place
from .volatile import tmpfs_folder

ROOT = pathlib.Path(__file__).resolve().parents[2]
_instances = itertools.count(1)


class Topology:
    """`families` says which addresses pods get; nodes have both. With `mesh`, heddle-cni ends the chain.
    `agent_flags` go to every agent, e.g. ("--backend", "epoll")."""

    def __init__(self, nodes=2, families=("ipv4",), mesh=False, binaries=None, agent_flags=()):
        self.families = tuple(families)
        self.mesh = mesh
        self.agent_flags = tuple(agent_flags)
        self.binaries = pathlib.Path(binaries or os.environ.get("HEDDLE_BIN", ROOT / "build/release/bin"))
        self.plugin_dirs = ["/usr/lib/cni", self.binaries]
        # The maker's pid makes names unique, and tells a later sweep whose leftovers they are.
        self.prefix = f"hd{os.getpid()}-{next(_instances)}"
        self.pin_root = pathlib.Path("/sys/fs/bpf") / self.prefix
        self._node_count = nodes
        self._exits = contextlib.ExitStack()
        self._old_handler = None
        self.controller = None

    def __enter__(self):
        # A polite kill is as good a reason to clean up as Ctrl-C.
        self._old_handler = signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
        try:
            self._build()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *unused):
        self.close()

    def close(self):
        """Takes everything away, in reverse order; a second Ctrl-C meanwhile is not heard."""
        interrupts = signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            self._exits.close()
        finally:
            signal.signal(signal.SIGINT, interrupts)
            if self._old_handler is not None:
                signal.signal(signal.SIGTERM, self._old_handler)
                self._old_handler = None

    def defer(self, action):
        """Runs the action at the end, before those that were deferred earlier."""
        self._exits.callback(action)

    def binary(self, name):
        path = self.binaries / name
        if not path.is_file():
            raise FileNotFoundError(f"{path} is not built; run: cmake --build {self.binaries.parent} --target {name}")
        return path

    def control_address(self, version):
        return "172.30.0.254" if version == 4 else "fd30::fe"

    def _build(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self.defer(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        # Agents keep keys in their run directory and insist on tmpfs.
        self.volatile_dir = tmpfs_folder() / self.prefix
        self.volatile_dir.mkdir(mode=0o700)
        self.defer(lambda: shutil.rmtree(self.volatile_dir, ignore_errors=True))
        self.cgroup = Cgroup(cgroup2_root() / self.prefix)
        self.defer(self.cgroup.remove)
        self.defer(lambda: shutil.rmtree(self.pin_root, ignore_errors=True))
        self.fabric = Netns(f"{self.prefix}-fabric")
        self.defer(self.fabric.remove)
        self.fabric.ip("link", "add", "fabric0", "type", "bridge")
        self.fabric.ip("link", "set", "fabric0", "up")
        for version, length in ((4, 24), (6, 64)):
            self.fabric.ip(f"-{version}", "addr", "add", f"{self.control_address(version)}/{length}", "dev", "fabric0")
        (self.dir / "control-logs").mkdir()
        # The machine of the control plane, on the same fabric; also a client that is no pod and on no node.
        self.control = Place(self.fabric.path, self.cgroup.child("control"), self.dir / "control-logs")
        self.defer(self.control.stop_all)
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
