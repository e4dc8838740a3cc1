"""Runs heddle-bench-load in the client pod of a subject."""

import dataclasses
import json
import os
import time

from . import quiet

END_MAX = 45  # Seconds that a client may take beyond what it measures.


class Void(Exception):
    """A run that does not count; says why."""


@dataclasses.dataclass
class Run:
    """What one client said, and how quiet the machine was."""
    report: dict
    foreign: float
    steal: float

    @property
    def seconds(self):
        return self.report["seconds"]

    @property
    def cpu(self):
        return self.report["cpu_seconds"]


def sources(subject):
    """{name: cgroup directory} of its components and of all that is measured beside."""
    return {**subject.components(), **subject.grounds.cgroups()}


def run(subject, arguments, seconds, warm_up, foreign_max, address=None):
    """One client from its start to its end, to the subject's address unless told; raises Void on any error, and when
    the machine was not ours."""
    argv = [subject.ground.load, *arguments, "--to", address or subject.address, "--seconds", seconds,
            "--warm-up", warm_up]
    for name, folder in sources(subject).items():
        argv += ["--usage", f"{name}={folder}"]
    kernel, started = quiet.kernel_thread_seconds(), time.monotonic()
    done = subject.client.run(argv, check=False, timeout=seconds + warm_up + END_MAX)
    kernel = (quiet.kernel_thread_seconds() - kernel) * seconds / (time.monotonic() - started)
    try:
        report = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise Void(f"the client ended with {done.returncode}: {done.stderr[-300:]}") from None
    if report["failed_flows"]:
        raise Void(f"{report['failed_flows']} of {report['flows']} flows failed: {'; '.join(report['errors'])}")
    foreign = quiet.foreign_share(report["cpu_seconds"], kernel, report["seconds"])
    check_quiet(foreign, report["steal_share"], foreign_max)
    return Run(report, foreign, report["steal_share"])


class Noisy(Void):
    """Somebody else had the machine: worth another try."""


def check_quiet(foreign, steal, foreign_max):
    if max(foreign, steal) > foreign_max:
        raise Noisy(f"foreign CPU {foreign:.0%}, stolen {steal:.0%}")


class Meter:
    """For clients that do not count it themselves: CPU time of {name: cgroup2 directory} from here on."""

    def __init__(self, folders):
        self._folders = folders
        self._started, self._before = time.monotonic(), quiet.usage(folders)
        self._kernel, self._stolen = quiet.kernel_thread_seconds(), quiet.stolen_seconds()

    def stop(self, foreign_max, runs_beside=False):
        """{name: CPU seconds}; raises Noisy when the machine was not ours. With `runs_beside` part of what is measured
        runs in no cgroup of ours: then only what the hypervisor took is looked at."""
        after, seconds = quiet.usage(self._folders), time.monotonic() - self._started
        cpu = {name: value - self._before[name] for name, value in after.items()}
        foreign = quiet.foreign_share(cpu, quiet.kernel_thread_seconds() - self._kernel, seconds)
        foreign = 0.0 if runs_beside else foreign
        check_quiet(foreign, (quiet.stolen_seconds() - self._stolen) / (seconds * cpus()), foreign_max)
        return cpu


def cpus():
    return len(os.sched_getaffinity(0))
