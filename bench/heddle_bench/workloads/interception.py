"""E1: what capture adds to connect(2) itself."""

import json

from .. import load, peers
from .workload import Metric, Workload, serve

REDIRECT_PORT = 9300
COUNT = 5000
_RULES = """\
table ip bench {{
    chain output {{
        type nat hook output priority -100;
        ip daddr 198.51.100.1 tcp dport {port} redirect to :{port}
    }}
}}
"""


class Interception(Workload):
    """Three kinds of connect from a pod to a listener in the same namespace, so that only the interception differs:
    direct: to the pod's own address; null2: to another address, by an nftables REDIRECT; heddle: to the server, by eBPF
    to the agent's listener. Sequential, blocking, 200 µs apart."""

    name = "E1"
    title = "connect(2): no interception (direct), nft REDIRECT (null2), eBPF (heddle)"
    metrics = (Metric("p50_us", "p50 µs", "lower", "difference"), Metric("mean_us", "mean µs", "lower", "none"))

    def suits(self, subject):
        return subject.name in ("direct", "null2", "heddle")

    def _target(self, subject):
        if subject.name == "heddle":
            return subject.address
        pod = subject.client
        serve(pod, REDIRECT_PORT, [subject.ground.load, "serve", "--listen", f"0.0.0.0:{REDIRECT_PORT}"], "redirected")
        if subject.name == "direct":
            return f"{pod.address()}:{REDIRECT_PORT}"
        return f"198.51.100.1:{REDIRECT_PORT}"

    def planned(self, settings):
        return 2.0

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
