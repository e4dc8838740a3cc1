"""Several controllers of one real API server: who leads, and what they tell each other."""

import json
import signal
import time

import pytest
import yaml
from kube.cluster import Cluster
from kube.controllers import NAMESPACE, Controller, lease
from topology.waiting import wait_until

OBJECTS = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
           {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
           {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2.example"}},
           {"apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": "shop", "labels": {"istio.io/dataplane-mode": "ambient"}}},
           {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}},
           {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"},
            "spec": {"nodeName": "n2.example", "serviceAccountName": "web", "automountServiceAccountToken": False,
                     "containers": [{"name": "c", "image": "none:1"}]}}]
STATUS = {"status": {"phase": "Running", "podIP": "10.9.0.1", "podIPs": [{"ip": "10.9.0.1"}],
                     "conditions": [{"type": "Ready", "status": "True"}]}}


def apply(cluster, objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


def report(uid, node="n2.example", problems=None):
    """What a controller that this node reports to would write."""
    text = json.dumps({"captured": [uid] if uid else [], "problems": problems or {}})
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": f"heddle-captured-{node}", "namespace": NAMESPACE,
                         "labels": {"heddle.io/capture-report": "true"}},
            "data": {"node": node, "heardBy": "elsewhere", "report": text}}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        apply(made, OBJECTS)
        made.kubectl("patch", "pod", "web", "--namespace=shop", "--subresource=status", "--type=merge",
                     f"--patch={json.dumps(STATUS)}")
        yield made


@pytest.fixture(scope="module")
def controllers(cluster):
    made = [Controller(cluster, f"heddle-controller-{name}", port) for name, port in (("a", 20000), ("b", 20010))]
    return [one.wait_ready() for one in made]


@pytest.fixture(scope="module")
def uid(cluster):
    return cluster.kubectl("get", "pod", "web", "--namespace=shop", "--output=jsonpath={.metadata.uid}")


def versions(controller):
    return {name: version for name, version in controller.get("/debug/resources")["addresses"].items() if "Pod" in name}


def test_what_one_hears_is_announced_by_all(cluster, controllers, uid):
    plain = versions(controllers[0])
    apply(cluster, [report(uid)])
    for controller in controllers:
        controller.wait_for(lambda one=controller: versions(one) != plain, "the pod is announced as captured")
    assert versions(controllers[0]) == versions(controllers[1])
    # One that comes later announces it from the beginning.
    late = Controller(cluster, "heddle-controller-c", 20020).wait_ready()
    assert versions(late) == versions(controllers[0])
    assert late.process.stop() == 0


def test_what_is_malformed_is_refused_and_changes_nothing(cluster, controllers, uid):
    before = versions(controllers[0])
    broken = report(uid)
    broken["data"]["report"] = "{"
    apply(cluster, [broken])
    controllers[0].wait_for(lambda: "report.object.refused" in controllers[0].process.output(), "it is said")
    assert versions(controllers[0]) == before


def test_one_leads_and_the_other_takes_over_at_once_when_it_stops(cluster, controllers):
    wait_until(lambda: any(one.leads() for one in controllers), "one leads", 10)
    assert sum(one.leads() for one in controllers) == 1
    leader = next(one for one in controllers if one.leads())
    other = next(one for one in controllers if one is not leader)
    assert lease(cluster)["holderIdentity"] == leader.name
    assert (leader.metric("heddle_controller_leads"), other.metric("heddle_controller_leads")) == (1, 0)
    began = time.monotonic()
    assert leader.process.stop() == 0
    other.wait_for(other.leads, "the other leads", 10)
    assert time.monotonic() - began < 8  # It did not wait for the Lease to expire.
    assert lease(cluster)["leaseTransitions"] >= 1
    controllers.remove(leader)


def test_a_leader_that_hangs_is_replaced_and_knows_it_when_it_goes_on(cluster, controllers):
    leader = controllers[0]
    other = Controller(cluster, "heddle-controller-d", 20030).wait_ready()
    leader.process.signal(signal.SIGSTOP)
    try:
        other.wait_for(other.leads, "the other leads", 30)
    finally:
        leader.process.signal(signal.SIGCONT)
    leader.wait_for(lambda: not leader.leads(), "the first one leads no more")
    assert other.leads() and lease(cluster)["holderIdentity"] == other.name
    assert other.process.stop() == 0
