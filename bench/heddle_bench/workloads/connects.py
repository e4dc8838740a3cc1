"""H2: new connections of an application, over whatever the subject keeps warm."""

from .. import load
from .workload import Metric, Workload, cpu_by_component, known, proxies_cpu


class Connects(Workload):
    """Of peers that make a tunnel per connection (haproxy, nginx, Envoy TCP) this is H1: there they are."""

    name = "H2"
    title = "New connections: connect, a byte each way, end; 16 at a time"
    metrics = (Metric("connects_s", "connects/s"), Metric("p50_us", "p50 µs", "lower", "difference"),
               Metric("p99_us", "p99 µs", "lower", "difference"),
               Metric("proxies_cpu_us", "both proxies CPU µs/connect", "lower", "none"))

    def suits(self, subject):
        return not subject.per_connection

    def measure(self, subject, settings):
        run = load.run(subject, ["connects", "--flows", 16, "--workers", 2], settings.seconds, settings.warm_up,
                       settings.foreign_max)
        count, latency, proxies = run.report["operations"], run.report["latency_us"], proxies_cpu(run)
        if not count:
            raise load.Void("no connection was made")
        return known(connects_s=count / run.seconds, p50_us=latency["p50"], p99_us=latency["p99"],
                     proxies_cpu_us=None if proxies is None else proxies * 1e6 / count, **cpu_by_component(run.cpu))
