"""The taint that keeps pods off new nodes goes when the node's agent is ready, and only then."""

import json

import pytest
import yaml
from kube.cluster import Cluster
from kube.controllers import NAMESPACE, Controller
from topology.waiting import wait_until

OURS = {"key": "heddle.io/not-ready", "effect": "NoSchedule"}
OTHER = {"key": "example.org/maintenance", "effect": "NoSchedule", "value": "x"}
NODES = ("n1", "n2")


def apply(cluster, objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


def agent(node):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"heddle-agent-{node}", "namespace": NAMESPACE},
            "spec": {"nodeName": node, "serviceAccountName": "heddle-agent", "automountServiceAccountToken": False,
                     "tolerations": [{"operator": "Exists"}], "containers": [{"name": "agent", "image": "none:1"}]}}


def becomes(cluster, node, ready):
    status = {"status": {"phase": "Running", "podIP": "192.0.2.1", "podIPs": [{"ip": "192.0.2.1"}],
                         "conditions": [{"type": "Ready", "status": ready}]}}
    cluster.kubectl("patch", "pod", f"heddle-agent-{node}", f"--namespace={NAMESPACE}", "--subresource=status",
                    "--type=merge", f"--patch={json.dumps(status)}")


def taints(cluster, node):
    found = cluster.find("node", node)["spec"].get("taints", [])
    return sorted(taint["key"] for taint in found if not taint["key"].startswith("node.kubernetes.io/"))


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        apply(made, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                     {"apiVersion": "v1", "kind": "ServiceAccount",
                      "metadata": {"name": "heddle-agent", "namespace": NAMESPACE}},
                     *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": node},
                        "spec": {"taints": [OTHER, OURS]}} for node in NODES)])
        apply(made, [agent(node) for node in NODES])
        for node in NODES:
            becomes(made, node, "False")
        yield made


@pytest.fixture(scope="module")
def controllers(cluster):
    made = [Controller(cluster, f"heddle-controller-{name}", port, options=["--startup-taint"])
            for name, port in (("a", 20000), ("b", 20010))]
    return [one.wait_ready() for one in made]


def test_it_goes_when_the_nodes_agent_is_ready_and_others_stay(cluster, controllers):
    wait_until(lambda: any(one.leads() for one in controllers), "one of them leads", 30)
    becomes(cluster, "n1", "True")
    wait_until(lambda: taints(cluster, "n1") == [OTHER["key"]], "the taint is gone", 20)
    assert taints(cluster, "n2") == sorted([OTHER["key"], OURS["key"]])


def test_it_goes_again_from_a_node_that_registers_anew_under_an_agent_that_stayed(cluster, controllers):
    cluster.kubectl("delete", "node", "n1")
    apply(cluster, [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"},
                     "spec": {"taints": [OTHER, OURS]}}])
    wait_until(lambda: taints(cluster, "n1") == [OTHER["key"]], "the taint is gone", 20)


def test_the_next_leader_goes_on(cluster, controllers):
    leader = next(one for one in controllers if one.leads())
    leader.process.kill()
    becomes(cluster, "n2", "True")
    wait_until(lambda: taints(cluster, "n2") == [OTHER["key"]], "the taint is gone", 60)
    left = next(one for one in controllers if one is not leader)
    wait_until(lambda: left.metric("heddle_controller_startup_taints_removed_total") == 1, "it is counted", 10)
