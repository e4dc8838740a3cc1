"""What is around the mesh fails, under traffic: nothing that should be inside is outside, no pod is restarted, and open
connections live where the design says so. The session's Watch sees the nodes' links all the while."""

import contextlib
import json

import pytest
from acceptance.namespace import HTTPD, container, is_ready, pod, pod_spec, request
from acceptance.traffic import assert_inside
from acceptance.witness import HBONE, LinkWitness
from kube import metrics
from topology.waiting import Timeout, wait_until

CONFLIST = "/etc/cni/net.d/10-pods.conflist"
PLUGIN = "/opt/cni/bin/heddle-cni"
OUTAGE_SECONDS = 60
LEASE = "heddle-controller"
DENY_CLIENT = {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": {"name": "no-client"},
               "spec": {"selector": {"matchLabels": {"app": "web"}}, "action": "DENY",
                        "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/client"]}}]}]}}
DENY_EVERY = {**DENY_CLIENT, "metadata": {"name": "no-every"}, "spec": {
    **DENY_CLIENT["spec"], "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/every"]}}]}]}}


def assert_policy_works(shop, traffic):
    """The way from the API server to the nodes is whole."""
    client, server = traffic.client["metadata"]["name"], traffic.server["status"]["podIP"]
    shop.apply(DENY_CLIENT)
    wait_until(lambda: shop.ask(client, server) is None, "the policy has effect", 60)
    shop.delete("authorizationpolicy", "no-client")
    wait_until(lambda: shop.ask(client, server) is not None, "and no more", 60)


@contextlib.contextmanager
def one_pod(namespace, name, node, ready=True, containers=(HTTPD,)):
    namespace.apply(pod(name, pod_spec(list(containers), node=node)))
    if ready:
        namespace.ready(name)
    yield namespace
    namespace.delete("pod", name)


def assert_new_pods_are_captured(cluster, release, shop):
    for node in cluster.nodes:
        with one_pod(shop, f"new-on-{node.name}", node.name):
            assert f"shop/new-on-{node.name}" in release.captured(node)


def test_kubelet_and_containerd_are_restarted(cluster, release, shop, traffic):
    for node in cluster.nodes:
        node.kubelet.kill()
        node.containerd.kill()
        node.start_containerd()
        node.start_kubelet()
        cluster.wait_ready(node)
    wait_until(lambda: shop.shell(traffic.client["metadata"]["name"], "echo here", check=False) == "here\n",
               "the kubelet knows its pods again", 60)
    traffic.assert_unharmed()
    assert_new_pods_are_captured(cluster, release, shop)


@contextlib.contextmanager
def outage(cluster):
    """Without the API server."""
    cluster.control_plane.api_server.kill()
    try:
        yield
    finally:
        cluster.control_plane.start_api_server()


def test_the_api_server_is_down_for_a_minute(cluster, release, shop, traffic):
    answered, lines = traffic.requests.counts()[0], traffic.connection.count()
    with outage(cluster), pytest.raises(Timeout):
        wait_until(cluster.control_plane.is_ready, "it stays down", OUTAGE_SECONDS, 1)
    traffic.assert_unharmed()
    # The loops went on meanwhile.
    assert traffic.connection.count() - lines > OUTAGE_SECONDS
    assert traffic.requests.counts()[0] - answered > OUTAGE_SECONDS
    assert_policy_works(shop, traffic)


def etcd(cluster, call, body):
    """Through etcd's gateway from JSON."""
    return json.loads(cluster.control.run(["curl", "-fsS", f"http://127.0.0.1:2379/v3/kv/{call}", "--data-binary",
                                           json.dumps(body)]).stdout)


def expired(cluster, controller):
    """How often a controller was told that its place in the history is gone (410), and listed anew."""
    text = cluster.kubectl("get", "--raw", f"/api/v1/namespaces/heddle-system/pods/{controller['metadata']['name']}"
                                           ":15014/proxy/metrics")
    return metrics.total(text, "heddle_controller_kube_expired_total")


def test_the_history_is_compacted_away_while_the_controllers_stand_still(cluster, release, shop, traffic):
    """They resume at a revision that is no more, and list anew."""
    frozen = [(node, pid) for node in cluster.nodes for pid in release.processes(node, "heddle-controller")]
    assert frozen
    before = {each["metadata"]["name"]: expired(cluster, each) for each in release.pods("heddle-controller")}
    for node, pid in frozen:
        node.run(["kill", "-STOP", pid])
    shop.apply(DENY_EVERY)
    for label in range(5):
        shop.kubectl("label", "namespace", "shop", f"revision={label}", "--overwrite")
    revision = etcd(cluster, "range", {"key": "AA=="})["header"]["revision"]
    etcd(cluster, "compaction", {"revision": revision, "physical": True})
    with outage(cluster):
        pass  # With the API server goes its memory of what was watched.
    for node, pid in frozen:
        node.run(["kill", "-CONT", pid])
    client, server = shop.pods("every")[0]["metadata"]["name"], traffic.server["status"]["podIP"]
    wait_until(lambda: shop.ask(client, server) is None, "the policy has effect", 60)
    wait_until(lambda: all(expired(cluster, each) > before[each["metadata"]["name"]]
                           for each in release.pods("heddle-controller")), "each was told that it is too late", 60)
    shop.delete("authorizationpolicy", "no-every")
    wait_until(lambda: shop.ask(client, server) is not None, "and no more", 60)
    traffic.assert_unharmed()


def leader(cluster, release):
    """The pod of the controller that writes status."""
    holder = cluster.find("lease", LEASE, "heddle-system")["spec"].get("holderIdentity", "")
    return next((each for each in release.pods("heddle-controller") if each["metadata"]["name"] in holder), None)


def test_the_controller_that_leads_is_killed(cluster, release, shop, traffic):
    """Nobody's traffic sees it, and another one writes status."""
    first = leader(cluster, release)
    node = cluster.nodes[int(first["spec"]["nodeName"][-1]) - 1]
    killed = [pid for pid in release.processes(node, "heddle-controller")
              if first["metadata"]["uid"] in node.run(["cat", f"/proc/{pid}/cgroup"]).stdout]
    assert len(killed) == 1
    # It comes back at once, and takes up its Lease again, unless it stays down for longer than that is good.
    node.run(["kill", "-STOP", *killed])
    wait_until(lambda: (leader(cluster, release) or first)["metadata"]["name"] != first["metadata"]["name"],
               "another one leads", 60, 0.5)
    shop.apply(DENY_EVERY)
    wait_until(lambda: "conditions" in cluster.find("authorizationpolicy", "no-every", "shop").get("status", {}),
               "the new leader writes status", 30)
    shop.delete("authorizationpolicy", "no-every")
    traffic.assert_unharmed()
    node.run(["kill", "-KILL", *killed])
    release.rolled_out("deployment/heddle-controller")
    release.wait_connected()
    traffic.assert_unharmed()
    assert_policy_works(shop, traffic)


def test_every_controller_is_killed(cluster, release, shop, traffic):
    killed = [(node, pid) for node in cluster.nodes for pid in release.processes(node, "heddle-controller")]
    assert killed
    for node, pid in killed:
        node.run(["kill", "-KILL", pid])
    traffic.assert_unharmed()
    release.rolled_out("deployment/heddle-controller")
    release.wait_connected()
    traffic.assert_unharmed()
    assert_policy_works(shop, traffic)
    assert_new_pods_are_captured(cluster, release, shop)


def test_every_controller_is_deleted(cluster, release, shop, traffic):
    """Agents are there and nobody tells them of the pods that are to replace the controllers: they start."""
    cluster.kubectl("delete", "pod", "--namespace=heddle-system", "--selector=app=heddle-controller", "--now")
    release.rolled_out("deployment/heddle-controller")
    release.wait_connected()
    traffic.assert_unharmed()
    assert_policy_works(shop, traffic)


def test_another_tool_rewrites_the_cni_configuration(cluster, release, shop, traffic):
    for node in cluster.nodes:
        chained = node.run(["cat", CONFLIST]).stdout
        assert "heddle-cni" in chained
        node.run(["cp", node.dir / "10-pods.conflist", CONFLIST])
        wait_until(lambda: node.run(["cat", CONFLIST]).stdout == chained, "the entry is back", 15)
    assert_new_pods_are_captured(cluster, release, shop)
    traffic.assert_unharmed()


def test_the_plugin_is_deleted(cluster, release, shop, traffic):
    for node in cluster.nodes:
        node.run(["rm", PLUGIN])
        wait_until(lambda: not node.run(["test", "-x", PLUGIN], check=False).returncode, "the plugin is back", 15)
    assert_new_pods_are_captured(cluster, release, shop)
    traffic.assert_unharmed()


def test_an_agent_is_killed(cluster, release, shop, traffic):
    """Its connections end with it; what the pods want meanwhile is refused, and never goes in clear."""
    node = cluster.nodes[1]
    before = release.processes(node, "heddle-agent")
    node.run(["kill", "-KILL", *before])
    wait_until(traffic.connection.has_ended, "the open connection has ended", 15)
    wait_until(lambda: release.processes(node, "heddle-agent") not in ([], before), "the agent is back", 60)
    release.wait_connected()
    traffic.requests.go_on()


@pytest.fixture
def dialed(cluster, shop):
    """The address of a pod on node1, at which one on node2 asks from its first instruction on, again and again."""
    server = shop.pods("web")[0]
    assert server["spec"]["nodeName"] == cluster.nodes[0].name
    address = server["status"]["podIP"]
    loop = f"while :; do {request(address)} | grep -q 200 && echo ok >>/tmp/answers; sleep 0.2; done"
    with one_pod(shop, "dialer", cluster.nodes[1].name, containers=[container(["sh", "-c", loop])]):
        yield address


def test_a_node_loses_power(cluster, release, shop, dialed):
    """Last: every pod of the node is started anew by it, in the mesh from its first moment."""
    other, node = cluster.nodes
    lost = [each for each in shop.pods() if each["spec"]["nodeName"] == node.name]
    before = shop.restarts()
    for each in lost:
        shop.forget(each)
    node.power_off()

    def is_back(each):
        now = shop.pod(each["metadata"]["name"])
        return is_ready(now) and all(status["restartCount"] == 1 for status in now["status"]["containerStatuses"])

    with LinkWitness(cluster, other) as witness:  # Also of the moments before they are Ready.
        node.power_on()
        cluster.wait_ready(node)
        wait_until(lambda: all(map(is_back, lost)), "its pods run again", 120, 1)
        wait_until(lambda: "ok" in shop.shell("dialer", "cat /tmp/answers", check=False), "it is answered", 60, 0.5)
    assert {syn.port for syn in witness.syns() if syn.target == dialed} == {HBONE}
    release.rolled_out("daemonset/heddle-agent")
    release.wait_connected()
    shop.watch_all()
    assert_inside(cluster, release, shop)
    assert release.metric(node, "heddle_pods_captured_running_total") == 0  # None was outside for a moment.
    for each in shop.pods("client"):
        for server in shop.pods("web"):
            answer = shop.ask(each["metadata"]["name"], server["status"]["podIP"])
            assert answer == (each["status"]["podIP"], server["metadata"]["name"])
    gone = {each["metadata"]["name"] for each in lost}
    assert {name: count for name, count in shop.restarts().items() if name not in gone} == \
        {name: count for name, count in before.items() if name not in gone}
