"""A new node has no entry in its CNI chain before its agent has made one: pods that are faster are captured while they
run, and with the start-up taint there are none."""

import pytest
from acceptance.namespace import HTTPD, Namespace, pod, pod_spec
from kube import metrics
from topology.waiting import wait_until

CONFLIST = "/etc/cni/net.d/10-pods.conflist"
TAINT = "heddle.io/not-ready"
FASTER = "heddle_pods_faster_than_agent_total"
TAINTS_REMOVED = "heddle_controller_startup_taints_removed_total"


@pytest.fixture(scope="module")
def late(release):
    late = Namespace(release, "late")
    yield late
    late.remove()


def test_a_pod_that_was_faster_is_captured_within_ten_seconds_and_counted(cluster, release, late):
    node = cluster.nodes[0]
    with release.without_agents():
        node.run(["cp", node.dir / "10-pods.conflist", CONFLIST])  # As the network's installer leaves it.
        late.apply(pod("faster", pod_spec([HTTPD], node=node.name)))
        late.ready("faster")
    wait_until(lambda: "late/faster" in release.captured(node), "it is captured", 10, 0.2)
    wait_until(lambda: release.metric(node, FASTER) == 1, "it is counted", 10)
    wait_until(lambda: release.metric(node, "heddle_capture_gaps") == 0, "it is no gap any more", 10)
    assert "heddle-cni" in node.run(["cat", CONFLIST]).stdout
    assert late.restarts() == {"faster": 0}


def taints(cluster, node):
    return [taint["key"] for taint in cluster.find("node", node.name)["spec"].get("taints", ())]


def taints_removed(release):
    """By whichever controller led."""
    return metrics.total(release.controllers_page("/metrics"), TAINTS_REMOVED)


def test_a_node_that_registers_with_the_taint_gets_pods_once_its_agent_is_ready(cluster, release, late):
    release.upgrade("agent.startupTaint.enabled=true")
    release.rolled_out("deployment/heddle-controller")
    node = cluster.nodes[1]
    waiting = {**pod_spec([HTTPD]), "nodeSelector": {"kubernetes.io/hostname": node.name}}
    with release.without_agents():
        node.kubelet.kill()
        cluster.kubectl("delete", "node", node.name)
        node.start_kubelet(f"--register-with-taints={TAINT}:NoSchedule")
        cluster.wait_ready(node)
        late.apply(pod("patient", waiting))
        wait_until(lambda: any("untolerated taint" in one.get("message", "")
                               for one in late.pod("patient")["status"].get("conditions", ())), "it waits", 60)
        assert TAINT in taints(cluster, node)
    late.ready("patient")
    assert TAINT not in taints(cluster, node)
    assert "late/patient" in release.captured(node)
    assert release.metric(node, FASTER) == 0
    assert release.metric(node, "heddle_pods_captured_running_total") == 0  # By its ADD.
    assert taints_removed(release) == 1
