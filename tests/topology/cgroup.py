"""Subtrees of the cgroup2 hierarchy, and of all hierarchies of a hybrid system."""

import os
import pathlib
import signal

from .waiting import wait_until


def _hierarchies(mountinfo):
    """(file system, mount point) of each hierarchy that is mounted with its real root."""
    for line in pathlib.Path(mountinfo).read_text().splitlines():
        before, _, after = line.partition(" - ")
        root, mount_point = before.split()[3:5]
        if after.split()[0] in ("cgroup", "cgroup2") and root == "/":
            yield after.split()[0], pathlib.Path(mount_point.replace("\\040", " "))


def cgroup2_root(mountinfo="/proc/self/mountinfo"):
    """Where the cgroup2 hierarchy is mounted: /sys/fs/cgroup, or .../unified on hybrid systems."""
    for kind, mount_point in _hierarchies(mountinfo):
        if kind == "cgroup2":
            return mount_point
    raise RuntimeError("no cgroup2 hierarchy is mounted here; mount one: mount -t cgroup2 none /sys/fs/cgroup/unified")


def cgroup_roots(mountinfo="/proc/self/mountinfo"):
    """cgroup2's mount point, and then those of version 1 where the system is hybrid."""
    first = cgroup2_root(mountinfo)
    return [first, *sorted({path for _, path in _hierarchies(mountinfo)} - {first})]


class Cgroup:
    """A cgroup that is made on construction; remove() takes the whole subtree away, with its processes."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(exist_ok=True)
        for file in ("cpuset.cpus", "cpuset.mems"):  # A new one of version 1 has none, and so takes no process.
            if (self.path / "cpuset.memory_migrate").exists():
                (self.path / file).write_text((self.path.parent / file).read_text())

    @property
    def paths(self):
        """All cgroups that a process of this one is in."""
        return [self.path]

    def child(self, name):
        return Cgroup(self.path / name)

    def children(self):
        """Those that exist now, whoever has made them."""
        return [Cgroup(entry.path) for entry in os.scandir(self.path) if entry.is_dir()]

    def relative(self):
        """The path as /proc/PID/cgroup shows it."""
        return "/" + str(self.path.relative_to(cgroup2_root()))

    def pids(self):
        """Pids of the whole subtree."""
        found = []
        for folder, _, _ in os.walk(self.path):
            try:
                found += [int(pid) for pid in pathlib.Path(folder, "cgroup.procs").read_text().split()]
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

    def _vanish(self):
        """Whether it is gone; what still holds a cgroup (a process that is not reaped yet) holds it a moment only."""
        if self._kill_all():
            for folder, _, _ in os.walk(self.path, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        return not self.path.is_dir()

    def remove(self):
        wait_until(self._vanish, f"processes of {self.path} end, and the cgroup goes", seconds=30)


class CgroupForest:
    """The same cgroup in every hierarchy: what a container runtime, and so a node's daemons, want on a hybrid system.
    Used like a Cgroup."""

    def __init__(self, trees):
        self.trees = list(trees)

    @classmethod
    def plant(cls, name):
        return cls(Cgroup(root / name) for root in cgroup_roots())

    @property
    def paths(self):
        return [tree.path for tree in self.trees]

    def child(self, name):
        return CgroupForest(tree.child(name) for tree in self.trees)

    def relative(self):
        return self.trees[0].relative()  # The first is cgroup2's.

    def pids(self):
        return sorted({pid for tree in self.trees for pid in tree.pids()})

    def remove(self):
        for tree in self.trees:
            tree.remove()
