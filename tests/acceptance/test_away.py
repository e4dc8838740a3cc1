"""No agent runs: what is in the mesh, or may be, waits and says why; what is not, and what the cluster needs, starts.
What slipped through is taken in when the agents are back."""

import ipaddress
import json

import pytest
from acceptance.namespace import HTTPD, LABEL, Namespace, is_ready, pod, pod_spec, request
from acceptance.release import NAMESPACE
from acceptance.traffic import assert_inside
from acceptance.witness import HBONE, LinkWitness
from topology.waiting import wait_until

REFUSAL = "the mesh agent of this node does not answer, and the pod must not start outside the mesh"
CAPTURED_RUNNING = "heddle_pods_captured_running_total"
FASTER = "heddle_pods_faster_than_agent_total"
OPEN = {"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy", "metadata": {"name": "open"},
        "spec": {"failMode": "Open"}}


def on(node, name, labels=None):
    return pod(name, pod_spec([HTTPD], node=node.name), {"app": name, **(labels or {})})


def refused(namespace, name):
    return [message for reason, message in namespace.events(name)
            if reason == "FailedCreatePodSandBox" and REFUSAL in message]


def test_without_agents_enrolled_pods_wait_and_say_why_and_others_start(cluster, release, shop, plain):
    restarts = shop.restarts()
    with release.without_agents():
        new = Namespace(release, "unheard-of", enrolled=False)
        for namespace, name in ((shop, "waits"), (plain, "starts"), (new, "nobody-knows")):
            namespace.apply(on(cluster.nodes[0], name))
        plain.ready("starts")
        for namespace, name in ((shop, "waits"), (new, "nobody-knows")):
            wait_until(lambda: refused(namespace, name), f"it is said why {name} waits", 60)
            assert not is_ready(namespace.pod(name))
        client, server = shop.pods("client")[0]["metadata"]["name"], shop.pods("web")[1]["status"]["podIP"]
        assert shop.ask(client, server) is None  # Refused, and so not in clear.
    shop.ready("waits")
    new.ready("nobody-knows")
    assert "shop/waits" in release.captured(cluster.nodes[0])
    assert release.captured(cluster.nodes[0]).isdisjoint({"plain/starts", "unheard-of/nobody-knows"})
    wait_until(lambda: shop.ask(client, server) is not None, "the mesh carries traffic again", 30)
    shop.delete("pod", "waits")
    plain.delete("pod", "starts")
    new.remove()
    assert_inside(cluster, release, shop)
    assert shop.restarts() == restarts


def known(node):
    """{namespace: what the plugin goes by without the agent}"""
    return json.loads(node.run(["cat", "/run/heddle/enroll.json"]).stdout)["namespaces"]


@pytest.fixture
def namespaces(cluster, release, watch):
    """Of which both nodes know something: {name: Namespace}"""
    made = {name: Namespace(release, name, enrolled=name == "opened", watch=watch)
            for name in ("slips", "mixed", "opened")}
    for node in cluster.nodes:
        made["slips"].apply(on(node, f"first-{node.name}"))
    made["mixed"].apply(on(cluster.nodes[0], "own-label", {LABEL: "ambient"}))
    made["opened"].apply(OPEN, on(cluster.nodes[0], "opened"))
    made["slips"].ready(*(f"first-{node.name}" for node in cluster.nodes))
    made["mixed"].ready("own-label")
    made["opened"].ready("opened")
    for node, wanted in zip(cluster.nodes, ({"slips": "none", "mixed": "mixed", "opened": "enrolled"},
                                            {"slips": "none"})):
        wait_until(lambda: wanted.items() <= known(node).items(), f"{node.name} knows {wanted}", 30, 0.5)
    yield made
    for each in made.values():
        each.remove(wait=False)


def fails_open(node, name):
    """Whether the kernel has it so, of a captured pod."""
    dump = node.run(["bpftool", "map", "dump", "pinned", "/sys/fs/bpf/heddle/v1/maps/hd_pods"]).stdout
    return any(name in record and "HD_FAIL_OPEN" in record for record in dump.split('"key"'))


def start_controllers_anew(release):
    release.cluster.kubectl("delete", "pod", f"--namespace={NAMESPACE}", "--selector=app=heddle-controller", "--now")
    release.rolled_out("deployment/heddle-controller")


def on_pod_network(cluster, pod):
    node = cluster.nodes[int(pod["spec"]["nodeName"][-1]) - 1]
    return ipaddress.ip_address(pod["status"]["podIP"]) in ipaddress.ip_network(node.pod_subnet)


def test_without_agents_the_cluster_gets_what_it_needs_and_what_slips_through_is_taken_in(
        cluster, release, shop, plain, namespaces):
    """Labelled pods slip through, the first ones of a namespace that has no other in the mesh: the plugin does not see
    labels."""
    node = cluster.nodes[0]
    restarts = shop.restarts()
    wait_until(lambda: fails_open(node, "opened/opened"), "the fail mode is in the kernel", 30, 0.5)
    slips, mixed, opened = (namespaces[name] for name in ("slips", "mixed", "opened"))
    outside = plain.address("first")
    with release.without_agents():
        slips.apply(*(on(each, f"slipped-{each.name}", {LABEL: "ambient"}) for each in cluster.nodes))
        mixed.apply(on(node, "no-label"))
        cluster.kubectl("apply", "--namespace=kube-system", "--filename=-",
                        input=json.dumps(on(node, "critical", {LABEL: "ambient"})))
        start_controllers_anew(release)
        assert all(on_pod_network(cluster, each) for each in release.pods("heddle-controller"))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/critical", "--namespace=kube-system", "--timeout=60s",
                        timeout=69)
        wait_until(lambda: refused(mixed, "no-label"), "a pod of a namespace that was mixed is refused", 60)
        assert not is_ready(mixed.pod("no-label"))
        mixed.delete("pod", "no-label")
        slips.outside_yet()
        slips.ready(*(f"slipped-{each.name}" for each in cluster.nodes))
        # The agent is away: that fails open which shall, and nothing else.
        assert opened.ask("opened", outside) == (opened.address("opened"), "first")
        assert shop.ask(shop.pods("client")[0]["metadata"]["name"], outside) is None
    for each in cluster.nodes:
        name = f"slips/slipped-{each.name}"
        wait_until(lambda: name in release.captured(each), f"{name} is captured in place", 10, 0.2)
        wait_until(lambda: release.metric(each, "heddle_capture_gaps") == 0, "nothing is missing", 30, 0.5)
    assert not {"slips/first-node1", "kube-system/critical"} & set(release.captured(node))
    cluster.kubectl("delete", "pod", "critical", "--namespace=kube-system", "--now")
    there = slips.address("slipped-node2")

    def crosses():
        with LinkWitness(cluster, node) as witness:
            said = slips.shell("slipped-node1", request(there), check=False)
        return {syn.port for syn in witness.between({slips.address("slipped-node1"), there})}, "200" in said

    wait_until(lambda: crosses() in (({HBONE}, True), (set(), True)), "they talk by the mesh", 30, 0.3)
    slips.taken_in()
    assert slips.ask("slipped-node1", there) == (slips.address("slipped-node1"), "slipped-node2")
    # Of these agents, which began with 0.
    for name in (CAPTURED_RUNNING, FASTER):
        assert [release.metric(each, name) for each in cluster.nodes] == [1, 1]
    assert set(slips.restarts().values()) == {0}
    assert shop.restarts() == restarts
    assert_inside(cluster, release, shop)
