"""T1, T2, T3: as much as goes."""

import concurrent.futures
import dataclasses
import json

from .. import load, peers, statistics
from ..ground import PORT
from .workload import Metric, Workload, cpu_by_component, known, proxies_cpu, serve

GIGABYTE = 1e9


class BulkUp(Workload):
    name = "T1"
    title = "Bulk, 1 flow, client to server"
    metrics = (Metric("gbit_s", "Gbit/s"), Metric("machine_cpu_s_gb", "machine CPU-s/GB", "lower"),
               Metric("proxies_cpu_s_gb", "both proxies CPU-s/GB", "lower", "none"))
    flows = 1
    direction = "up"

    def address(self, subject):
        return subject.address

    def measure(self, subject, settings):
        workers = min(self.flows, load.cpus())
        run = load.run(subject, [self.direction, "--flows", self.flows, "--workers", workers], settings.seconds,
                       settings.warm_up, settings.foreign_max, self.address(subject))
        count = run.report["bytes"] / GIGABYTE
        if not count:
            raise load.Void("no bytes were carried")
        proxies = proxies_cpu(run)
        values = known(gbit_s=count * 8 / run.seconds, machine_cpu_s_gb=run.cpu["machine"] / count,
                       proxies_cpu_s_gb=None if proxies is None else proxies / count)
        values.update(cpu_by_component(run.cpu))
        if self.flows > 1:
            values["jain"] = statistics.jain(run.report["bytes_by_flow"])
        return values


def parse_iperf3(text):
    """Gbit/s that its server received."""
    try:
        report = json.loads(text)
    except ValueError:
        raise load.Void(f"iperf3 said: {text[-300:]}") from None
    if "error" in report:
        raise load.Void(f"iperf3 said: {report['error']}")
    received = report["end"]["sum_received"]["bits_per_second"]
    if not received:
        raise load.Void("no bytes were carried")
    return received / 1e9


class BulkIperf3(Workload):
    """Its server has a port of its own, which peers are not told of."""

    name = "T1i"
    title = "T1 by iperf3: does somebody else's client agree?"
    metrics = (Metric("gbit_s", "Gbit/s"),)
    sweep = True
    port = 9003

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def measure(self, subject, settings):
        binary, = peers.debian("iperf3")
        serve(subject.server, self.port, [binary, "--server", "--port", self.port], "iperf3")
        seconds, warm_up = max(1, round(settings.seconds)), round(settings.warm_up)
        meter = load.Meter(load.sources(subject))
        done = subject.client.run([binary, "--client", subject.server.address(), "--port", self.port, "--time", seconds,
                                   "--omit", warm_up, "--json"], check=False, timeout=seconds + warm_up + load.END_MAX)
        meter.stop(settings.foreign_max)
        return {"gbit_s": parse_iperf3(done.stdout)}


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


class Bulk6(BulkUp):
    """The pods' IPv6 addresses; between the nodes goes what the pods' network makes of it."""

    name = "T1v6"
    title = "T1 over IPv6"
    sweep = True

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def address(self, subject):
        return f"[{subject.server.address(6)}]:{PORT}"


class Sizes(Workload):
    """How much goes when the application writes little at a time: Nagle is off, so each write is a segment while the
    network keeps up."""

    name = "T3"
    title = "Bulk, 1 flow, client to server, in writes of 64 B, 1 KiB, 16 KiB, 256 KiB and 1 MiB"
    sweep = True
    sizes = (64, 1024, 16 * 1024, 256 * 1024, 1024 * 1024)
    metrics = (*(Metric(f"gbit_s_{size}", f"Gbit/s at {size} B") for size in sizes),
               *(Metric(f"proxies_cpu_s_gb_{size}", f"both proxies CPU-s/GB at {size} B", "lower", "none")
                 for size in sizes))

    def measure(self, subject, settings):
        values = {}
        for size in self.sizes:
            run = load.run(subject, ["up", "--flows", 1, "--workers", 1, "--write", size], settings.seconds / 2,
                           settings.warm_up / 2, settings.foreign_max)
            count, proxies = run.report["bytes"] / GIGABYTE, proxies_cpu(run)
            if not count:
                raise load.Void(f"no bytes were carried in writes of {size} B")
            values.update(known(**{f"gbit_s_{size}": count * 8 / run.seconds,
                                   f"proxies_cpu_s_gb_{size}": None if proxies is None else proxies / count}))
        return values

    def planned(self, settings):
        return len(self.sizes) * (settings.seconds + settings.warm_up) / 2 + 1


class ManyPairs(Workload):
    """As many tunnels as pairs, by as many client processes at the same time. direct: the same processes between the
    two pods of the plain topology."""

    name = "T64p"
    title = "Bulk, 64 flows of 16 identity pairs, server to client"
    sweep = True
    metrics = (Metric("gbit_s", "Gbit/s"), Metric("machine_cpu_s_gb", "machine CPU-s/GB", "lower"),
               Metric("jain", "Jain's fairness", "higher", "none"))
    pairs, flows_each = 16, 4

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def measure(self, subject, settings):
        if subject.name == "heddle":
            pairs = subject.ground.pairs(self.pairs)
        else:
            pairs = [(subject.client, subject.server)] * self.pairs
        with concurrent.futures.ThreadPoolExecutor(len(pairs)) as pool:
            runs = list(pool.map(lambda pair: load.run(
                _Between(subject, *pair), ["down", "--flows", self.flows_each, "--workers", 1], settings.seconds,
                settings.warm_up, settings.foreign_max), pairs))
        # Each client reads the machine's CPU time over its own seconds, which are nearly the same.
        count = sum(run.report["bytes"] for run in runs) / GIGABYTE
        shares = [share for run in runs for share in run.report["bytes_by_flow"]]
        machine = statistics.median([run.cpu["machine"] for run in runs])
        return {"gbit_s": sum(run.report["bytes"] * 8 / GIGABYTE / run.seconds for run in runs),
                "machine_cpu_s_gb": machine / count, "jain": statistics.jain(shares)}


@dataclasses.dataclass
class _Between:
    """A subject as one pair of pods sees it."""
    subject: object
    client: object
    server: object

    @property
    def address(self):
        return f"{self.server.address()}:{PORT}"

    def __getattr__(self, name):
        return getattr(self.subject, name)
