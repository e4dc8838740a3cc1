"""The real heddle-cni at the end of a real chain, while its agent is away."""

import pytest
from topology import CniError, PodSpec, Topology
from topology.applications import get, serve


def leases(node):
    return list((node.dir / "cni-ipam" / "pods").glob("10.*"))


def test_without_agent_a_pod_does_not_start_and_leaves_nothing():
    with Topology(nodes=1, mesh=True) as topology:
        node = topology.nodes[0]
        with pytest.raises(CniError, match="must not start outside the mesh") as refusal:
            node.add_pod(PodSpec("app", "shop"))
        assert refusal.value.plugin == "heddle-cni"
        assert refusal.value.code == 11
        assert not leases(node)


def test_without_agent_outsiders_start_and_end():
    with Topology(nodes=1, mesh=True) as topology:
        node = topology.nodes[0]
        (node.run_dir / "enroll.json").write_text(
            '{"version":1,"namespaces":{"legacy":"none","shop":"enrolled"},"exemptNamespaces":[]}')
        exempt = node.add_pod(PodSpec("dns", "kube-system"))
        outsider = node.add_pod(PodSpec("app", "legacy"))
        serve(exempt)
        assert get(outsider, exempt.address()) == str(outsider.address())
        with pytest.raises(CniError):
            node.add_pod(PodSpec("app", "shop"))
        for pod in (exempt, outsider):
            pod.remove()
        assert not leases(node)


def test_the_result_is_that_of_the_chain_before_it():
    with Topology(nodes=1, mesh=True, families=("ipv4", "ipv6")) as topology:
        pod = topology.nodes[0].add_pod(PodSpec("dns", "kube-system"))
        assert pod.result["cniVersion"] == "1.0.0"
        assert [address.version for address in pod.addresses] == [4, 6]
        assert any(i["name"] == "eth0" and i["sandbox"] == str(pod.netns_path) for i in pod.result["interfaces"])
