#!/usr/bin/python3
"""Pid 1 of a node, in mount, pid, uts and ipc namespaces of its own: boot.py HOSTNAME DISK

Makes this mount namespace look like a machine of its own, says "booted", and reaps orphans for the rest of its life;
daemons are started from outside. Where a node writes is its own: DISK outlives a power cycle, /run does not. So what
was written for real nodes finds /etc/cni/net.d, /opt/cni/bin, /run and /sys/fs/bpf where it expects them.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys

# Each is a folder of the disk itself: overlayfs, on which the others are, cannot carry containerd's snapshots.
OWN = ("var/lib/kubelet", "var/lib/containerd", "var/lib/cni", "var/log/pods", "var/log/containers", "etc/cni/net.d",
       "opt/cni/bin")
OVERLAID = ("etc", "opt", "var/lib", "var/log")
# A kubelet sets these for the whole machine: it gets files in their place.
MACHINE_WIDE = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
                "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes")
CNI_PLUGINS = pathlib.Path("/usr/lib/cni")


def mount(*arguments):
    subprocess.run(["mount", *map(str, arguments)], check=True)


def mount_kernel_folders(disk):
    mount("-t", "proc", "proc", "/proc")
    # The sysfs of this network namespace, with the cgroup hierarchies carried over.
    carried = disk / "cgroup"
    carried.mkdir(exist_ok=True)
    mount("--rbind", "/sys/fs/cgroup", carried)
    mount("-t", "sysfs", "sysfs", "/sys")
    mount("--rbind", carried, "/sys/fs/cgroup")
    subprocess.run(["umount", "--recursive", str(carried)], check=True)
    mount("-t", "bpf", "bpf", "/sys/fs/bpf")
    mount("-t", "tmpfs", "-o", "mode=755", "run", "/run")
    for folder in ("lock", "netns"):
        pathlib.Path("/run", folder).mkdir()


def mount_disk(disk):
    for folder in OVERLAID:
        layers = disk / "overlay" / folder.replace("/", "_")
        for layer in ("upper", "work"):
            (layers / layer).mkdir(parents=True, exist_ok=True)
        mount("-t", "overlay", "-o", f"lowerdir=/{folder},upperdir={layers}/upper,workdir={layers}/work", "overlay",
              f"/{folder}")
    for folder in OWN:
        for path in (disk / folder, pathlib.Path("/", folder)):
            path.mkdir(parents=True, exist_ok=True)
        mount("--bind", disk / folder, f"/{folder}")
    for plugin in CNI_PLUGINS.iterdir():  # What a distribution's installer lays down once.
        if not pathlib.Path("/opt/cni/bin", plugin.name).exists():
            shutil.copy2(plugin, "/opt/cni/bin")


def shield_machine(disk):
    (disk / "sysctl").mkdir(exist_ok=True)
    for key in MACHINE_WIDE:
        copy = disk / "sysctl" / key.replace("/", "_")
        copy.write_text(pathlib.Path("/proc/sys", key).read_text())
        mount("--bind", copy, f"/proc/sys/{key}")


def reap():
    """Pid 1 inherits every orphan: the shims of containerd, for one."""
    while True:
        signal.sigwait({signal.SIGCHLD})
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            pass


def main():
    hostname, disk = sys.argv[1], pathlib.Path(sys.argv[2])
    socket.sethostname(hostname)
    disk.mkdir(exist_ok=True)
    mount_kernel_folders(disk)
    mount_disk(disk)
    shield_machine(disk)
    mount("--make-rshared", "/")  # As on a machine of its own: pods may ask for propagation.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    print("booted", flush=True)
    reap()


if __name__ == "__main__":
    main()
