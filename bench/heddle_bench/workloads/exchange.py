"""L1, L2, R0: requests and answers of fixed sizes, closed and open loops."""

from .. import load
from .workload import Metric, Workload, cpu_by_component, known, proxies_cpu, samples_flag

KILOBYTE = 1024


class _Exchange(Workload):
    flows = 1
    workers = 1
    size = 1

    def run(self, subject, settings, rate=0, seconds=None):
        size = ["--request", self.size, "--response", self.size]
        run = load.run(subject, ["exchange", "--flows", self.flows, "--workers", self.workers, *size, "--rate", rate,
                                 *(samples_flag(self, subject, settings) if seconds is None else [])],
                       seconds or settings.seconds, settings.warm_up if seconds is None else seconds / 4,
                       settings.foreign_max)
        if not run.report["operations"]:
            raise load.Void("no answer came")
        return run


class PingPong(_Exchange):
    name = "L1"
    title = "Round trip of 1 byte, one at a time"
    metrics = (Metric("p50_us", "p50 µs", "lower", "difference"), Metric("p99_us", "p99 µs", "lower", "difference"))

    def measure(self, subject, settings):
        run = self.run(subject, settings)
        latency = run.report["latency_us"]
        return {"p50_us": latency["p50"], "p99_us": latency["p99"], **cpu_by_component(run.cpu)}


class PingPongKilobyte(PingPong):
    name = "L1k"
    title = "Round trip of 1 KiB, one at a time"
    sweep = True
    beside_null2 = True
    size = KILOBYTE


class OpenLoop(_Exchange):
    """Latency counts from when a request was due."""

    name = "L2"
    title = "Open loop, 1000 requests/s of 1 KiB on 16 connections"
    metrics = (Metric("p50_us", "p50 µs", "lower", "difference"), Metric("p99_us", "p99 µs", "lower", "difference"),
               Metric("p999_us", "p99.9 µs", "lower", "difference"),
               Metric("proxies_cpu_us", "both proxies CPU µs/request", "lower", "none"))
    flows = 16
    workers = 2
    size = KILOBYTE

    def suits(self, subject):
        return subject.name != "null2"

    def rate(self, subject, settings):
        return 1000

    def measure(self, subject, settings):
        run = self.run(subject, settings, rate=self.rate(subject, settings))
        latency, proxies = run.report["latency_us"], proxies_cpu(run)
        each = None if proxies is None else proxies * 1e6 / run.report["operations"]
        return known(p50_us=latency["p50"], p99_us=latency["p99"], p999_us=latency["p99.9"], proxies_cpu_us=each,
                     **cpu_by_component(run.cpu))


class OpenLoopHalf(OpenLoop):
    name = "L2h"
    title = "Open loop of 1 KiB on 16 connections at 50 % of the subject's own maximum"
    sweep = True
    metrics = (*OpenLoop.metrics, Metric("rate", "requests/s offered", "higher", "none"))

    def __init__(self):
        self._maxima = {}  # Found in the first round, with a closed loop on the same connections.

    def rate(self, subject, settings):
        if subject.name not in self._maxima:
            run = self.run(subject, settings, seconds=max(1.0, settings.seconds / 2))
            self._maxima[subject.name] = run.report["operations"] / run.seconds
        return round(self._maxima[subject.name] / 2)

    def measure(self, subject, settings):
        return {**super().measure(subject, settings), "rate": self.rate(subject, settings)}


class Requests(_Exchange):
    name = "R0"
    title = "Requests of 1 KiB, closed loop on 64 connections, our own client"
    sweep = True
    metrics = (Metric("rps", "requests/s"), Metric("proxies_cpu_us", "both proxies CPU µs/request", "lower", "none"),
               Metric("machine_cpu_us", "machine CPU µs/request", "lower"))
    flows = 64
    workers = 2
    size = KILOBYTE

    def measure(self, subject, settings):
        run = self.run(subject, settings)
        count, proxies = run.report["operations"], proxies_cpu(run)
        return known(rps=count / run.seconds, machine_cpu_us=run.cpu["machine"] * 1e6 / count,
                     proxies_cpu_us=None if proxies is None else proxies * 1e6 / count, **cpu_by_component(run.cpu))
