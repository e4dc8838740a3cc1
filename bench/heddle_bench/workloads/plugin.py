"""N1: what the CNI plugin adds to the start of a pod."""

import time

from topology import PodSpec

from .. import load, statistics
from ..ground import NAMESPACE
from .workload import Metric, Workload

PODS = 100


class Plugin(Workload):
    """direct: the chain without heddle-cni; heddle: the chain with it at its end, on a node that knows the pod.
    Includes the start of each plugin's process."""

    name = "N1"
    title = f"CNI ADD of {PODS} pods, one after the other"
    metrics = (Metric("p50_ms", "p50 ms", "lower", "difference"), Metric("p99_ms", "p99 ms", "lower", "difference"))
    rounds_max = 4

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def planned(self, settings):
        return 0.12 * PODS

    def _add(self, subject, number):
        topology = subject.ground.topology
        node = topology.nodes[0]
        spec = PodSpec(f"added{number}", NAMESPACE)
        if subject.name == "heddle":
            topology.config.put_pod(spec, node.name)
        pod = node.add_pod(spec, connect=False)
        try:
            started = time.monotonic()
            pod.connect()
            return (time.monotonic() - started) * 1e3
        finally:
            pod.remove()
            if subject.name == "heddle":
                topology.config.remove(f"pod-{spec.namespace}-{spec.name}")

    def measure(self, subject, settings):
        meter = load.Meter(subject.grounds.cgroups())
        samples = sorted(self._add(subject, number) for number in range(PODS))
        meter.stop(settings.foreign_max, runs_beside=True)  # The plugins.
        return {"p50_ms": statistics.median(samples), "p99_ms": samples[PODS * 99 // 100 - 1]}
