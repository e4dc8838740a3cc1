"""H1: new connections for which a subject has nothing warm, each with a full mutual handshake."""

import json
import time

from topology import wait_until

from .. import load, quiet, tls
from ..ground import PORT
from .connects import Connects
from .workload import Metric, Workload

FLEET = 16       # Pods of a kind, and so this number squared of pairs.
START_IN = 3.0   # Seconds until all clients begin together.


class Handshakes(Workload):
    """Peers with a tunnel per connection: as H2. Envoy HBONE: a tunnel takes one stream.

    Heddle, whose tunnels cannot be kept from being shared: agents that have just started, and each of 16 client pods
    connects to each of 16 server pods once; that is 256 handshakes, in less than a second."""

    name = "H1"
    title = "New identity pairs: a full mutual handshake for each connection; 16 at a time"
    metrics = (Metric("connects_s", "connects/s", "higher", "none"),
               Metric("proxies_cpu_us", "both proxies CPU µs/connect", "lower", "none"))

    def suits(self, subject):
        return subject.per_connection or subject.name == "heddle"

    def measure(self, subject, settings):
        if subject.name == "heddle":
            return self._sweep(subject, settings)
        values = Connects().measure(subject, settings)
        return {metric.name: values[metric.name] for metric in self.metrics}

    def _sweep(self, subject, settings):
        clients, servers = subject.ground.fleet(FLEET)
        subject.stop()
        subject.start()
        wait_until(lambda: _listening(clients, 15001) and _listening(servers, 15008), "all pods are captured", 30)
        folders = {**subject.components(), **subject.grounds.cgroups()}
        start = time.monotonic_ns() + int(START_IN * 1e9)
        addresses = [f"{server.address()}:{PORT}" for server in servers]
        running = [client.spawn([subject.ground.load, "sweep", "--start-at", start, "--to",
                                 *addresses[number:], *addresses[:number]], "sweep")
                   for number, client in enumerate(clients)]
        time.sleep(max(0.0, start / 1e9 - time.monotonic() - 0.05))
        before, kernel = quiet.usage(folders), quiet.kernel_thread_seconds()
        wait_until(lambda: all(each.exit_code is not None for each in running), "all have connected", 60, 0.005)
        after, kernel = quiet.usage(folders), quiet.kernel_thread_seconds() - kernel
        reports = [_report(each) for each in running]
        _check_fresh(clients)
        seconds = (max(each["ended_ns"] for each in reports) - min(each["begun_ns"] for each in reports)) / 1e9
        cpu = {name: after[name] - before[name] for name in after}
        load.check_quiet(quiet.foreign_share(cpu, kernel, seconds), 0, settings.foreign_max)
        count = sum(each["operations"] for each in reports)
        return {"connects_s": count / seconds,
                "proxies_cpu_us": (cpu["proxy_a"] + cpu["proxy_b"]) * 1e6 / count}


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


def _listening(pods, port):
    return all(f":{port} " in pod.run(["ss", "-Hltn"]).stdout for pod in pods)


def _report(process):
    if process.exit_code != 0:
        raise load.Void(f"a client failed: {process.output()[-300:]}")
    return json.loads(process.output())


def _check_fresh(clients):
    """Each pair has a tunnel of its own: nothing was shared."""
    tunnels = sum(len(pod.run(["ss", "-Htn", "state", "established", "dport = :15008"]).stdout.splitlines())
                  for pod in clients)
    if tunnels != len(clients) ** 2:
        raise load.Void(f"{tunnels} tunnels for {len(clients) ** 2} pairs")
