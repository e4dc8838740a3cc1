"""R1: HTTP/1.1 keep-alive and HTTP/2 through L4, with wrk and h2load as the clients."""

import re

from .. import load, peers
from .workload import Metric, Workload, cpu_by_component, known, serve


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

    def _run(self, subject, seconds):
        """(requests, requests per second, errors) of one run of the client."""
        binary, = peers.debian("wrk")
        done = subject.client.run([binary, "-t2", f"-c{self.connections}", f"-d{max(1, round(seconds))}s",
                                   f"http://{subject.address}/"], timeout=seconds + load.END_MAX)
        return parse_wrk(done.stdout)

    def measure(self, subject, settings):
        self._run(subject, settings.warm_up)
        meter = load.Meter(load.sources(subject))
        count, rate, errors = self._run(subject, settings.seconds)
        cpu = meter.stop(settings.foreign_max)
        if errors or not count:
            raise load.Void(f"{errors} errors in {count} requests")
        proxies = [value for name, value in cpu.items() if name.startswith("proxy_")]
        return known(rps=rate, cpu_us_per_proxy=sum(proxies) * 1e6 / count / len(proxies) if proxies else None,
                     **cpu_by_component(cpu))


def parse_h2load(text):
    """The same of h2load's summary."""
    rate = re.search(r"^finished in [\d.]+m?s, ([\d.]+) req/s", text, re.M)
    counts = re.search(r"(\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if not rate or not counts:
        raise load.Void(f"h2load said: {text[-300:]}")
    done, succeeded, *bad = map(int, counts.groups())
    statuses = re.search(r"^status codes: (\d+) 2xx", text, re.M)
    wrong = done - int(statuses.group(1)) if statuses else done
    # What is under way when time is up is neither done nor an error.
    return succeeded, float(rate.group(1)), max(sum(bad), wrong)


class Http2(Http):
    """nghttpd answers with a file of 1 KiB; its port is not one that peers are told of."""

    name = "R1h2"
    title = "HTTP/2 with prior knowledge, 1 KiB, 10 connections of 100 streams, h2load"
    sweep = True
    connections, streams, port = 10, 100, 9002

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def _serve(self, subject):
        folder = subject.ground.topology.dir / "nghttpd"
        if not folder.exists():
            folder.mkdir()
            (folder / "index.html").write_bytes(b"x" * 1024)
        binary, = peers.debian("nghttp2-server")
        serve(subject.server, self.port, [binary, "--no-tls", "-d", folder, self.port], "nghttpd")

    def _run(self, subject, seconds):
        self._serve(subject)
        binary, = peers.debian("nghttp2-client")
        done = subject.client.run([binary, "-t2", f"-c{self.connections}", f"-m{self.streams}",
                                   f"-D{max(1, round(seconds))}", f"http://{subject.server.address()}:{self.port}/"],
                                  timeout=seconds + load.END_MAX)
        return parse_h2load(done.stdout)
