"""Pods come and go, a few hundred times, on both nodes: none fails to start, and nothing of them stays."""

import os
import time

import pytest
from acceptance import census, results
from acceptance.namespace import HTTPD, Namespace, pod, pod_spec
from topology.waiting import Timeout, wait_until

CYCLES = int(os.environ.get("HEDDLE_POD_CYCLES", "300"))
AT_ONCE = 10  # On each node.
SETTLE_SECONDS = 60
QUIET_SECONDS = 10
GROWTH_MIB = 8  # Of an agent's memory, whatever the number of cycles.


@pytest.fixture(scope="module")
def meshed(release, watch):
    meshed = Namespace(release, "cycles", watch=watch)
    # The first pods make what stays: an identity, tunnels' limits, kubelet's folders.
    come_and_go(release.cluster, meshed, "warm-up")
    yield meshed
    meshed.remove()


def come_and_go(cluster, namespace, name):
    names = [f"{name}-{node.name}-{number}" for node in cluster.nodes for number in range(AT_ONCE)]
    namespace.apply(*(pod(each, pod_spec([HTTPD], node=each.split("-")[-2]), {"app": "cycle"}) for each in names))
    namespace.kubectl("wait", "--for=condition=Ready", "pod", "--selector=app=cycle", "--timeout=120s", timeout=130)
    namespace.watch_all()
    pods = namespace.pods("cycle")
    first, last = pods[0], pods[-1]  # On different nodes: tunnels come and go, too.
    assert namespace.ask(first["metadata"]["name"], last["status"]["podIP"]) is not None
    for each in pods:
        namespace.forget(each)
    namespace.kubectl("delete", "pod", "--selector=app=cycle", "--timeout=120s", timeout=130)


def counts_of(cluster, release):
    return {node.name: census.of_node(release, node) for node in cluster.nodes}


def memory_of_agents(cluster, release):
    return {node.name: round(census.memory_of_agent(release, node), 1) for node in cluster.nodes}


def quiet(cluster, release):
    """The counts once nothing changes any more: of a pod deleted by force the API server knows nothing
    while its node is still at taking it away."""
    since, counts = time.monotonic(), counts_of(cluster, release)

    def unchanged():
        nonlocal since, counts
        now = counts_of(cluster, release)
        if now != counts:
            since, counts = time.monotonic(), now
        return time.monotonic() - since > QUIET_SECONDS

    wait_until(unchanged, f"no count changes for {QUIET_SECONDS} s", SETTLE_SECONDS + QUIET_SECONDS, 1)
    return counts


def settled(cluster, release, before):
    """Waits until every count is what it was; what is not, as {node: {what: (before, after)}}."""
    def differences():
        now = counts_of(cluster, release)
        return {name: {what: (count, now[name].get(what)) for what, count in counts.items()
                       if count != now[name].get(what)} for name, counts in before.items() if counts != now[name]}

    try:
        wait_until(lambda: not differences(), "everything is as it was", SETTLE_SECONDS, 2)
    except Timeout:
        return differences()
    return {}


def test_nothing_is_left_of_many_pods_and_none_fails_to_start(cluster, release, meshed):
    before = quiet(cluster, release)
    assert all(counts["BPF programs"] > 0 and counts["BPF links"] > 0 for counts in before.values())
    memory = memory_of_agents(cluster, release)
    started = time.monotonic()
    rounds = -(-CYCLES // (AT_ONCE * len(cluster.nodes)))
    for number in range(rounds):
        come_and_go(cluster, meshed, f"round-{number}")
    seconds = round(time.monotonic() - started, 1)
    failed = meshed.kubectl("get", "events", "--field-selector=reason=FailedCreatePodSandBox",
                            "--output=jsonpath={.items[*].message}")
    assert failed == ""
    assert settled(cluster, release, before) == {}
    grown = {name: round(now - memory[name], 1) for name, now in memory_of_agents(cluster, release).items()}
    results.record("pod_cycles", pods=rounds * AT_ONCE * len(cluster.nodes), seconds=seconds, agents_grown_mib=grown,
                   agents_before_mib=memory)
    assert max(grown.values()) < GROWTH_MIB, grown
