"""Whether the machine was ours while something was measured."""

import os
import pathlib
import re

_TICKS = os.sysconf("SC_CLK_TCK")
SHARE_MAX = 0.05


def kernel_thread_seconds():
    """CPU time of all kernel threads: those that carry our packets are nobody's, and not foreign."""
    total = 0
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It has ended.
        if fields[1] == "2":  # The parent of all kernel threads is kthreadd.
            total += int(fields[11]) + int(fields[12])
    return total / _TICKS


def stolen_seconds():
    """CPU time that the hypervisor kept from all CPUs together, since the start of the machine (proc_stat(5))."""
    fields = pathlib.Path("/proc/stat").read_text().partition("\n")[0].split()
    return int(fields[8]) / _TICKS


def usage(folders):
    """{name: CPU seconds so far} of cgroup2 directories by name."""
    return {name: int(re.search(r"usage_usec (\d+)", (pathlib.Path(folder) / "cpu.stat").read_text()).group(1)) / 1e6
            for name, folder in folders.items()}


def foreign_share(cpu, kernel_threads, seconds, cpus=None):
    """The share of the machine that others took: `cpu` has the machine's and our topologies' CPU seconds."""
    ours = sum(value for name, value in cpu.items() if name.startswith("topology"))
    cpus = cpus or len(os.sched_getaffinity(0))
    return max(0.0, cpu["machine"] - ours - kernel_threads) / (seconds * cpus)
