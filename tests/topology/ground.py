"""What every instance stands on, and the way back to nothing."""

import contextlib
import itertools
import os
import pathlib
import shutil
import signal
import sys
import tempfile

from .cgroup import Cgroup, cgroup2_root
from .netns import Netns, veth
from .process import Place
from .volatile import tmpfs_folder

_instances = itertools.count(1)


class Ground:
    """Names, folders and a cgroup of its own, and a bridge in a namespace of its own: the fabric of the nodes, on which
    `control` is the machine of the control plane. A context manager; _build() of the heir makes what stands on it."""

    def __init__(self):
        # The maker's pid makes names unique, and tells a later sweep whose leftovers they are.
        self.prefix = f"hd{os.getpid()}-{next(_instances)}"
        self._exits = contextlib.ExitStack()
        self._old_handler = None

    def __enter__(self):
        # A polite kill is as good a reason to clean up as Ctrl-C.
        self._old_handler = signal.signal(signal.SIGTERM, lambda *unused: sys.exit(143))
        try:
            self._lay()
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

    def control_address(self, version):
        return "172.30.0.254" if version == 4 else "fd30::fe"

    def node_address(self, index, version):
        return f"172.30.0.{10 + index}" if version == 4 else f"fd30::{10 + index}"

    def join_fabric(self, netns, index, name):
        """Makes a namespace the network of a node: link0 to a port `name` of the fabric, its address, forwarding."""
        veth(netns, "link0", self.fabric, name)
        self.fabric.ip("link", "set", name, "master", "fabric0")
        netns.sysctl("net/ipv4/ip_forward", 1)
        netns.sysctl("net/ipv6/conf/all/forwarding", 1)
        for version, length in ((4, 24), (6, 64)):
            netns.ip(f"-{version}", "addr", "add", f"{self.node_address(index, version)}/{length}", "dev", "link0")

    def make_cgroup(self):
        """The cgroup of all processes of the instance; its own path in cgroup2."""
        return Cgroup(cgroup2_root() / self.prefix)

    def _lay(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix=f"{self.prefix}-"))
        self.defer(lambda: shutil.rmtree(self.dir, ignore_errors=True))
        # Agents keep keys in their run directory and insist on tmpfs.
        self.volatile_dir = tmpfs_folder() / self.prefix
        self.volatile_dir.mkdir(mode=0o700)
        self.defer(lambda: shutil.rmtree(self.volatile_dir, ignore_errors=True))
        self.cgroup = self.make_cgroup()
        self.defer(self.cgroup.remove)
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
