"""H1: new connections for which a subject has nothing warm, each with a full mutual handshake."""

import json
import time

from topology import wait_until

from .. import load, tls
from ..ground import FLEET, PORT
from .connects import Connects
from .workload import Metric, Workload

WARM_UP = 8      # Of a client's connections: not counted, as no subject's are while it warms up.
START_IN = 4.0   # Seconds until all clients begin together with what counts.
LATE_MAX = 0.1   # Seconds after that.


class Handshakes(Workload):
    """Peers with a tunnel per connection: as H2. Envoy HBONE: a tunnel takes one stream.

    Heddle, whose tunnels cannot be kept from being shared: agents that have just started, and each of 16 client pods
    connects to each of 48 server pods once, to eight of them before the clock starts. That is 640 handshakes which
    count, in less than a second; the rate is of the time in which all 16 clients are at work. One process of two
    threads is all clients and one all servers, as they are for the peers."""

    name = "H1"
    title = "New identity pairs: a full mutual handshake for each connection; 16 at a time"
    metrics = (Metric("connects_s", "connects/s", "higher", "none"),
               Metric("proxies_cpu_us", "both proxies CPU µs/connect", "lower", "none"))

    def suits(self, subject):
        return subject.per_connection or subject.name == "heddle"

    def planned(self, settings):
        """Four peers' time, and ours, which is short."""
        return START_IN + 1 if self.sweep else (4 * super().planned(settings) + START_IN + 1) / 5

    def measure(self, subject, settings):
        if subject.name == "heddle":
            return self._sweep(subject, settings)
        values = Connects().measure(subject, settings)
        return {metric.name: values[metric.name] for metric in self.metrics}

    def _sweep(self, subject, settings):
        clients, servers = subject.ground.fleet()
        subject.stop()
        subject.start()
        wait_until(lambda: _listening(clients, 15001) and _listening(servers, 15008), "all pods are captured", 30)
        start = time.monotonic_ns() + int(START_IN * 1e9)
        addresses = [f"{server.address()}:{PORT}" for server in servers]
        running = clients[0].spawn([subject.ground.load, "sweep", "--workers", 2, "--start-at", start,
                                    "--warm-up", WARM_UP, "--from", *(client.netns.path for client in clients),
                                    "--to", *addresses], "sweep")
        time.sleep(max(0.0, start / 1e9 - time.monotonic() - 0.05))
        meter = load.Meter(load.sources(subject))
        wait_until(lambda: running.exit_code is not None, "all have connected", 60, 0.005)
        cpu = meter.stop(settings.foreign_max)
        reports = _reports(running)
        _check_fresh(clients, servers)
        if max(each["begun_ns"] for each in reports) - start > LATE_MAX * 1e9:
            raise load.Void("the warm-up was not over when the clock started")
        ended = [moment for each in reports for moment in each["ended_ns"]]
        return {"connects_s": rate(start, [each["ended_ns"] for each in reports]),
                "proxies_cpu_us": (cpu["proxy_a"] + cpu["proxy_b"]) * 1e6 / len(ended)}


class HybridHandshakes(Handshakes):
    """Heddle's two ways to exchange keys, one after the other in each round; the first is H1."""

    name = "H1q"
    title = "New identity pairs, keys exchanged by X25519MLKEM768; beside it the same by X25519"
    sweep = True
    metrics = (Metric("connects_s", "connects/s", "higher", "none"),
               Metric("of_x25519", "of connects/s by X25519", "higher", "none"),
               Metric("proxies_cpu_us", "both proxies CPU µs/connect", "lower", "none"),
               Metric("cpu_of_x25519", "of the CPU by X25519", "lower", "none"))

    def suits(self, subject):
        return subject.name == "heddle"

    def measure(self, subject, settings):
        usual = self._sweep(subject, settings)
        subject.extra_flags = ("--key-exchange", "hybrid")
        recording = subject.ground.record(f"hybrid-{time.monotonic_ns()}")
        try:
            hybrid = self._sweep(subject, settings)
        finally:
            recording.stop()
            subject.extra_flags = ()
            subject.stop()
            subject.start()
        groups = {group for _, group in tls.server_hellos(recording.bytes())}
        if groups != {tls.X25519MLKEM768}:
            raise load.Void(f"groups {groups} were agreed on, not X25519MLKEM768 alone")
        return {**hybrid, "of_x25519": hybrid["connects_s"] / usual["connects_s"],
                "cpu_of_x25519": hybrid["proxies_cpu_us"] / usual["proxies_cpu_us"]}


def rate(start, clients):
    """Connections a second from `start` on, while none of the clients has finished: for each of them the nanoseconds
    at which its connections ended."""
    until = min(moments[-1] for moments in clients)
    return sum(moment <= until for moments in clients for moment in moments) * 1e9 / (until - start)


def _listening(pods, port):
    return all(f":{port} " in pod.run(["ss", "-Hltn"]).stdout for pod in pods)


def _reports(process):
    """What each client tells."""
    if process.exit_code != 0:
        raise load.Void(f"a client failed: {process.output()[-300:]}")
    return json.loads(process.output())["clients"]


def _check_fresh(clients, servers):
    """Each pair has a tunnel of its own: nothing was shared."""
    tunnels = sum(len(pod.run(["ss", "-Htn", "state", "established", "dport = :15008"]).stdout.splitlines())
                  for pod in clients)
    pairs = len(clients) * len(servers)
    if tunnels != pairs:
        raise load.Void(f"{tunnels} tunnels for {pairs} pairs")
