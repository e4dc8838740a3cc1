"""E1, E1a: what capture adds to connect(2)."""

import json
import os
import statistics
import subprocess

from .. import load, peers
from .workload import Metric, Workload, serve

REDIRECT_PORT = 9300
COUNT = 5000
PROCESSES = 4  # Of a round of E1, whose median counts: where a process's memory lies makes 5 µs.
_RULES = """\
table ip bench {{
    chain output {{
        type nat hook output priority -100;
        ip daddr 198.51.100.1 tcp dport {port} redirect to :{port}
    }}
}}
"""


class Interception(Workload):
    """connect() to a listener in the same pod, the same in all three rows, which takes the connection after the call:
    so that only what is in the way differs. Blocking, one after the other, on one CPU."""

    name = "E1"
    title = "connect(2) of a pod: nothing in its way (direct), nft REDIRECT (null2), eBPF (heddle)"
    metrics = (Metric("p50_us", "p50 µs", "lower", "difference"), Metric("mean_us", "mean µs", "lower", "none"))
    ways = {"direct": "none", "null2": "redirect", "heddle": "captured"}

    def suits(self, subject):
        return subject.name in self.ways

    def planned(self, settings):
        return 0.5 * PROCESSES

    def measure(self, subject, settings):
        nft, = peers.debian("nftables")
        meter = load.Meter(subject.grounds.cgroups())
        reports = [self._connect(subject, nft) for _ in range(PROCESSES)]
        meter.stop(settings.foreign_max, runs_beside=True)
        return {metric.name: statistics.median(report[metric.name] for report in reports) for metric in self.metrics}

    def _connect(self, subject, nft):
        cpu = max(os.sched_getaffinity(0))
        done = subprocess.run(["taskset", "--cpu-list", str(cpu),
                               subject.ground.topology.binary("heddle-bench-capture"), self.ways[subject.name],
                               "--count", str(COUNT), "--nft", nft],
                              capture_output=True, text=True, check=False, timeout=120)
        if done.returncode != 0:
            raise load.Void((done.stdout + done.stderr)[-300:])
        return json.loads(done.stdout)


class InterceptionByAgent(Interception):
    """E1 with the listeners of real use: of the load server (direct; null2, behind a REDIRECT) and of the agent
    (heddle), which has more to do. Whoever listens is woken within the call, and does what it does while the next ones
    are made, 200 µs apart."""

    name = "E1a"
    rounds_max = 4
    title = "connect(2) of a pod, listeners that are woken: load server (direct), nft REDIRECT (null2), agent (heddle)"

    def planned(self, settings):
        return 2.0

    def _target(self, subject):
        if subject.name == "heddle":
            return subject.address
        pod = subject.client
        serve(pod, REDIRECT_PORT, [subject.ground.load, "serve", "--listen", f"0.0.0.0:{REDIRECT_PORT}"], "redirected")
        if subject.name == "direct":
            return f"{pod.address()}:{REDIRECT_PORT}"
        return f"198.51.100.1:{REDIRECT_PORT}"

    def measure(self, subject, settings):
        target = self._target(subject)
        nft, = peers.debian("nftables")
        if subject.name == "null2":
            subject.client.run([nft, "-f", "-"], input=_RULES.format(port=REDIRECT_PORT))
        meter = load.Meter(subject.grounds.cgroups())
        try:
            done = subject.client.run([subject.ground.load, "connect-cost", "--to", target, "--count", COUNT],
                                      check=False, timeout=120)
        finally:
            if subject.name == "null2":
                subject.client.run([nft, "delete", "table", "ip", "bench"])
        report = json.loads(done.stdout or "{}")
        if done.returncode != 0:
            raise load.Void(report.get("error") or done.stderr[-300:])
        meter.stop(settings.foreign_max)
        return {"p50_us": report["p50_us"], "mean_us": report["mean_us"]}
