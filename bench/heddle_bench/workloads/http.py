"""R1: HTTP/1.1 keep-alive through L4, with wrk as the client."""

import re
import time

from .. import load, peers, quiet
from .workload import Metric, Workload, known


def parse_wrk(text):
    """(requests, requests per second, errors) of wrk's summary."""
    count = re.search(r"^\s*(\d+) requests in", text, re.M)
    rate = re.search(r"^Requests/sec:\s*([\d.]+)", text, re.M)
    if not count or not rate:
        raise load.Void(f"wrk said: {text[-300:]}")
    errors = sum(int(number) for line in re.findall(r"^\s*(?:Socket errors|Non-2xx).*$", text, re.M)
                 for number in re.findall(r"\b(\d+)\b", line.replace("Non-2xx or 3xx", "")))
    return int(count.group(1)), float(rate.group(1)), errors


class Http(Workload):
    """The CPU time is that of the whole run of wrk, which has no warm-up: a short run of it comes before."""

    name = "R1"
    title = "HTTP/1.1 keep-alive, 1 KiB, 64 connections, wrk"
    metrics = (Metric("rps", "requests/s"), Metric("cpu_us_per_proxy", "CPU µs/request per proxy", "lower", "none"))
    connections = 64

    def _wrk(self, subject, seconds):
        binary, = peers.debian("wrk")
        done = subject.client.run([binary, "-t2", f"-c{self.connections}", f"-d{max(1, round(seconds))}s",
                                   f"http://{subject.address}/"], timeout=seconds + load.END_MAX)
        return parse_wrk(done.stdout)

    def measure(self, subject, settings):
        folders = {**subject.components(), **subject.grounds.cgroups()}
        self._wrk(subject, settings.warm_up)
        before, kernel, started = quiet.usage(folders), quiet.kernel_thread_seconds(), time.monotonic()
        count, rate, errors = self._wrk(subject, settings.seconds)
        seconds = time.monotonic() - started
        after, kernel = quiet.usage(folders), quiet.kernel_thread_seconds() - kernel
        if errors or not count:
            raise load.Void(f"{errors} errors in {count} requests")
        cpu = {name: after[name] - before[name] for name in after}
        load.check_quiet(quiet.foreign_share(cpu, kernel, seconds), 0, settings.foreign_max)
        proxies = [value for name, value in cpu.items() if name.startswith("proxy_")]
        return known(rps=rate, cpu_us_per_proxy=sum(proxies) * 1e6 / count / len(proxies) if proxies else None)
