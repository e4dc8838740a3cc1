"""N1: what the CNI plugin adds to the start of a pod."""

import contextlib

from topology import PodSpec
from topology.objects import pod_object

from .. import load, statistics
from ..ground import NAMESPACE
from .workload import Metric, Workload

PODS = 100
BOUND = "bound"  # The file of their objects.


class Plugin(Workload):
    """direct: the chain without heddle-cni; heddle: the chain with it at its end. Both on one node with the pods of
    other workloads, whose number a bridge feels, and whose agent knows the pods already. Includes the start of each
    plugin's process."""

    name = "N1"
    title = f"CNI ADD of {PODS} pods, one after the other"
    metrics = (Metric("p50_ms", "p50 ms", "lower", "difference"), Metric("p99_ms", "p99 ms", "lower", "difference"),
               Metric("own_p50_ms", "p50 ms of heddle-cni", "lower", "none"),
               Metric("own_p99_ms", "p99 ms of heddle-cni", "lower", "none"))
    rounds_max = 4

    def suits(self, subject):
        return subject.name in ("direct", "heddle")

    def planned(self, settings):
        return 0.12 * PODS

    @contextlib.contextmanager
    def _bound(self, ground, node, specs):
        """The pods are bound to the node, and its agent knows it."""
        uids = [spec.uid for spec in specs]
        ground.topology.config.put(BOUND, *(pod_object(spec, node.name) for spec in specs))
        try:
            ground.wait_known(uids, [node])
            yield
        finally:
            ground.topology.config.remove(BOUND)
            ground.wait_known(uids, [node], gone=True)

    def _add(self, node, chain, spec):
        """Seconds by type of plugin."""
        took = {}
        pod = node.add_pod(spec, connect=False)
        try:
            chain.add(pod.container_id, pod.netns.path, args=pod.cni_args(), took=took)
        finally:
            pod.remove()
        return took

    def measure(self, subject, settings):
        ground = subject.grounds.mesh()
        node = ground.topology.nodes[0]
        specs = [PodSpec(f"added{number}", NAMESPACE) for number in range(PODS)]
        known = self._bound(ground, node, specs) if subject.name == "heddle" else contextlib.nullcontext()
        chain = node.chain if subject.name == "heddle" else node.chain.without("heddle-cni")
        with known:
            meter = load.Meter(subject.grounds.cgroups())
            steps = [self._add(node, chain, spec) for spec in specs]
            meter.stop(settings.foreign_max, runs_beside=True)  # The plugins.
        values = _percentiles("", [sum(took.values()) for took in steps])
        if subject.name == "heddle":
            values.update(_percentiles("own_", [took["heddle-cni"] for took in steps]))
        return values


def _percentiles(name, seconds):
    samples = sorted(1e3 * took for took in seconds)
    return {f"{name}p50_ms": statistics.median(samples), f"{name}p99_ms": samples[len(samples) * 99 // 100 - 1]}
