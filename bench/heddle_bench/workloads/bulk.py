"""T1, T2: as much as goes."""

from .. import load, statistics
from .workload import Metric, Workload, known, proxies_cpu

GIGABYTE = 1e9


class BulkUp(Workload):
    name = "T1"
    title = "Bulk, 1 flow, client to server"
    metrics = (Metric("gbit_s", "Gbit/s"), Metric("machine_cpu_s_gb", "machine CPU-s/GB", "lower"),
               Metric("proxies_cpu_s_gb", "both proxies CPU-s/GB", "lower", "none"))
    flows = 1
    direction = "up"

    def measure(self, subject, settings):
        workers = min(self.flows, load.cpus())
        run = load.run(subject, [self.direction, "--flows", self.flows, "--workers", workers], settings.seconds,
                       settings.warm_up, settings.foreign_max)
        count = run.report["bytes"] / GIGABYTE
        if not count:
            raise load.Void("no bytes were carried")
        proxies = proxies_cpu(run)
        values = known(gbit_s=count * 8 / run.seconds, machine_cpu_s_gb=run.cpu["machine"] / count,
                       proxies_cpu_s_gb=None if proxies is None else proxies / count)
        if self.flows > 1:
            values["jain"] = statistics.jain(run.report["bytes_by_flow"])
        return values


class BulkDown(BulkUp):
    name = "T1d"
    title = "Bulk, 1 flow, server to client"
    sweep = True
    direction = "down"


class Flows8(BulkDown):
    """Counted where the bytes arrive: what many flows have on the way in buffers is no little part of a short run."""

    name = "T8"
    title = "Bulk, 8 flows of one identity pair, server to client"
    metrics = (*BulkUp.metrics, Metric("jain", "Jain's fairness", "higher", "none"))
    flows = 8


class Flows64(Flows8):
    name = "T64"
    title = "Bulk, 64 flows of one identity pair, server to client"
    flows = 64


class Flows1000(Flows8):
    name = "T1000"
    title = "Bulk, 1000 flows of one identity pair, server to client"
    flows = 1000
