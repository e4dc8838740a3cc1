"""Subtrees of the cgroup2 hierarchy."""

import os
import pathlib
import signal

from .waiting import wait_until


def cgroup2_root(mountinfo="/proc/self/mountinfo"):
    """Where the cgroup2 hierarchy is mounted with its real root: /sys/fs/cgroup, or .../unified on hybrid systems."""
    for line in pathlib.Path(mountinfo).read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, mount_point = before.split()[3:5]
        if after.split()[0] == "cgroup2" and root == "/":
            return pathlib.Path(mount_point.replace("\\040", " "))
    raise RuntimeError("no cgroup2 hierarchy is mounted here; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified")


class Cgroup:
    """A cgroup that is made on construction; remove() takes the whole subtree away, with its processes."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(exist_ok=True)

    def child(self, name):
        return Cgroup(self.path / name)

    def relative(self):
        """The path as /proc/PID/cgroup shows it."""
        return "/" + str(self.path.relative_to(cgroup2_root()))

    def pids(self):
        """Pids of the whole subtree."""
        found = []
        for procs in self.path.rglob("cgroup.procs"):
            try:
                found += [int(pid) for pid in procs.read_text().split()]
            except OSError:
                pass  # The cgroup has gone meanwhile.
        return found

    def _kill_all(self):
        pids = self.pids()
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        return not pids

    def remove(self):
        if not self.path.is_dir():
            return
        wait_until(self._kill_all, f"processes of {self.path} end")
        for folder, _, _ in os.walk(self.path, topdown=False):
            os.rmdir(folder)
