"""What docs/operations.md has people do on a node without a shell there: before an install, and when its agent is gone
for ever. Last of its run: the mesh is not there any more afterwards."""

import re

from acceptance.release import NAMESPACE, SECONDS, image_script
from kube.cluster.node import CGROUP2
from topology.waiting import wait_until

IMAGE = f"localhost/heddle-agent:{image_script.version()}"
PROFILE = "/var/lib/kubelet/seccomp/heddle/agent.json"
# Of this cluster's nodes, which share a machine; elsewhere it is found by itself.
CGROUP = f"--cgroup={CGROUP2}"


def on_node(cluster, node, *heddlectl):
    """(exit code, what it said) of a heddlectl in a debugging pod of that node."""
    said = cluster.kubectl("debug", f"node/{node.name}", "--profile=sysadmin", f"--image={IMAGE}", "--", "heddlectl",
                           *heddlectl, "--host-root=/host", CGROUP)
    name, = re.findall(r"node-debugger-\S+", said)

    def ended():
        statuses = cluster.find("pod", name)["status"].get("containerStatuses", [{}])
        return statuses[0].get("state", {}).get("terminated")

    code = wait_until(ended, f"{heddlectl} ends", SECONDS, 0.5)["exitCode"]
    log = cluster.kubectl("logs", name)
    cluster.kubectl("delete", "pod", name, "--now")
    return code, log


def test_a_node_is_looked_at_before_an_install(cluster, release):
    code, said = on_node(cluster, cluster.nodes[0], "check", "--pre", "--no-cluster")
    assert "kernel-programs" in said and "cni-chain" in said, said
    assert [line for line in said.splitlines() if "failed" in line.split()[1:2]] == [], said
    assert code == 0


def test_what_a_removal_without_its_order_left_is_purged(cluster, release, shop):
    client, server = shop.pods("client")[0], shop.pods("web")[1]
    assert shop.ask(client["metadata"]["name"], server["status"]["podIP"]) is not None
    for each in shop.pods():
        shop.forget(each)  # What follows is in clear.
    cluster.helm("uninstall", "heddle", f"--namespace={NAMESPACE}", "--no-hooks")
    wait_until(lambda: not release.pods("heddle-agent") and not any(
        release.processes(node, "heddle-agent") for node in cluster.nodes), "the agents are gone", SECONDS, 0.5)
    assert shop.ask(client["metadata"]["name"], server["status"]["podIP"]) is None  # Closed, as it should be.
    for node in cluster.nodes:
        code, said = on_node(cluster, node, "check", "--purged")
        assert code == 1 and "LEFT:" in said and f"kept: /host{PROFILE}" in said, said
        code, said = on_node(cluster, node, "purge")
        assert code == 0 and f"removed /host{PROFILE}" in said, said
        code, said = on_node(cluster, node, "check", "--purged")
        assert code == 0 and PROFILE not in said, said
        assert node.run(["ls", "/var/lib/kubelet/seccomp"], check=False).stdout == ""
    assert shop.ask(client["metadata"]["name"], server["status"]["podIP"]) == (
        client["status"]["podIP"], server["metadata"]["name"])
