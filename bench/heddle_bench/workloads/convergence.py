"""X1: from a change of the mesh to its effect in all agents, and the start of all agents at once. X2: what a mesh that
changes all the time does to the latency of a connection."""

import json
import threading

from topology import Topology

from .. import large_mesh, load
from ..large_mesh import LargeMesh
from .exchange import OpenLoop
from .workload import Metric, Workload

CHANGES = 100
HOLDING = 10         # Of the agents so many hold the whole state, as real ones do; the others take and acknowledge.
HOLDING_LARGE = 2    # Of a mesh that takes each of them 100 MB.
CHANGES_PER_SECOND = 50


class _Controller:
    """A controller with a large mesh in a topology of its own, in which nothing else runs. A context manager."""

    def __init__(self, binaries, mesh):
        self._topology = Topology(nodes=0, binaries=binaries)
        self._mesh = mesh

    def __enter__(self):
        self._topology.__enter__()
        try:
            self._mesh.write(self._topology.config.path)
            self._process = self._topology.control.spawn(
                [self._topology.binary("heddle-controller"), "run", "--config-dir", self._topology.config.path,
                 "--state-dir", self._topology.controller_dir], "heddle-controller")
            self._process.wait_ready(self._topology.controller_is_ready, "controller is ready", 120)
        except BaseException:
            self._topology.close()
            raise
        return self

    def __exit__(self, *unused):
        self._topology.close()

    def converge(self, agents, holding, changes):
        """What heddle-bench-agents says."""
        topology, mesh, files = self._topology, self._mesh, {}
        for ready, name in ((True, "ready"), (False, "unready")):
            files[name] = topology.dir / name
            files[name].write_text(mesh.changing(ready), encoding="utf-8")
        done = topology.control.run(
            [topology.binary("heddle-bench-agents"), "--controller", "127.0.0.1:15012",
             "--roots", topology.controller_dir / "root-cert.pem", "--tokens", topology.controller_dir / "tokens",
             "--node-prefix", mesh.prefix, "--agents", agents, "--holding", holding, "--watched", mesh.watched,
             "--controller-pid", self._process.pid, "--changes", changes,
             "--change-file", topology.config.path / f"{large_mesh.CHANGING}.yaml",
             "--ready-file", files["ready"], "--unready-file", files["unready"]], check=False, timeout=600)
        try:
            report = json.loads(done.stdout)
        except json.JSONDecodeError:
            raise load.Void(f"the agents ended with {done.returncode}: {done.stderr[-300:]}") from None
        if report["error"]:
            raise load.Void(report["error"])
        return report

    @property
    def cgroup(self):
        return self._topology.cgroup.path


class Convergence(Workload):
    """The controller reads a directory; agents are simulated by one process on the same machine, over TLS, each a node
    of its own. A change is one pod becoming ready or not; it is effective where the workload says so. Other subjects
    have no controller."""

    name = "X1"
    title = "Convergence: 10 000 workloads, 100 agents"
    sweep = True
    metrics = (Metric("p50_ms", "p50 ms, change to the last agent", "lower", "none"),
               Metric("p99_ms", "p99 ms", "lower", "none"),
               Metric("change_cpu_ms", "controller CPU ms/change", "lower", "none"),
               Metric("cold_s", "s, all agents from nothing", "lower", "none"),
               Metric("cold_cpu_s", "controller CPU-s of that", "lower", "none"),
               Metric("held_mb", "controller MB before agents", "lower", "none"),
               Metric("peak_mb", "MB at its peak", "lower", "none"))
    pods, agents, holding = 10_000, 100, HOLDING
    rounds_max = 2  # Of a hundred changes each.

    def suits(self, subject):
        return subject.name == "heddle"

    def planned(self, settings):
        return 3 + self.pods / 2000 + self.agents / 25

    def measure(self, subject, settings):
        with _Controller(subject.ground.topology.binaries, LargeMesh(self.pods, self.agents)) as controller:
            meter = load.Meter({**subject.grounds.cgroups(), "topology_controller": controller.cgroup})
            report = controller.converge(self.agents, min(self.holding, self.agents), CHANGES)
            meter.stop(settings.foreign_max)
        change, cold = report["change"], report["cold"]
        return {"p50_ms": change["last_ms"]["p50"], "p99_ms": change["last_ms"]["p99"],
                "change_cpu_ms": change["cpu_ms"], "cold_s": cold["seconds"], "cold_cpu_s": cold["cpu_seconds"],
                "held_mb": cold["before_mb"], "peak_mb": cold["peak_mb"]}


class ConvergenceOne(Convergence):
    name = "X1a"
    title = "Convergence: 1000 workloads, 1 agent"
    pods, agents = 1000, 1


class ConvergenceSmall(Convergence):
    name = "X1b"
    title = "Convergence: 1000 workloads, 100 agents"
    pods = 1000


class ConvergenceMany(Convergence):
    name = "X1c"
    title = "Convergence: 10 000 workloads, 1000 agents"
    agents = 1000


class ConvergenceOneOfMany(Convergence):
    name = "X1e"
    title = "Convergence: 10 000 workloads, 1 agent"
    agents = 1


class ConvergenceOneLarge(Convergence):
    name = "X1f"
    title = "Convergence: 100 000 workloads, 1 agent"
    rounds_max = 1
    pods, agents, holding = 100_000, 1, 1


class ConvergenceLarge(Convergence):
    name = "X1d"
    title = "Convergence: 100 000 workloads, 100 agents"
    rounds_max = 1
    pods, holding = 100_000, HOLDING_LARGE


class OpenLoopWhileItChanges(OpenLoop):
    """L2 while the agents that carry it are sent a change of one of 10 000 workloads every 20 ms. direct stands beside
    it without changes: compare with L2 of Heddle."""

    name = "X2"
    title = "L2 with 10 000 workloads, one of which changes 50 times a second"
    sweep = True

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def measure(self, subject, settings):
        if subject.name != "heddle":
            return super().measure(subject, settings)
        mesh, folder = LargeMesh(10_000), subject.ground.topology.config.path
        stop = threading.Event()
        mesh.write(folder)
        changes = threading.Thread(target=_change, args=(mesh, folder, stop))
        try:
            subject.ground.wait_known([mesh.watched])
            changes.start()
            return super().measure(subject, settings)
        finally:
            stop.set()
            if changes.ident is not None:
                changes.join()
            mesh.remove(folder)
            subject.ground.wait_known([mesh.watched], gone=True)


def _change(mesh, folder, stop):
    ready = False
    while not stop.wait(1 / CHANGES_PER_SECOND):
        mesh.change(folder, ready)
        ready = not ready
