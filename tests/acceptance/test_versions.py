"""Agents and controllers of neighbouring versions work together while a mesh is upgraded and goes back, under traffic;
maps whose layout another version made are refused. The session's Watch sees the nodes' links all the while."""

import datetime
import json

import pytest
from acceptance.later import Later
from acceptance.namespace import HTTPD, is_ready, pod, pod_spec
from acceptance.release import NAMESPACE, SECONDS, image_script
from acceptance.test_by_hand import on_node
from acceptance.traffic import Connection, Requests, assert_inside
from topology.waiting import wait_until

OURS = image_script.version()
REFUSED = "programs of another version of Heddle are attached, pinned at /sys/fs/bpf/heddle/v"
# Clocks of Kubernetes' objects and of the loops have whole seconds.
ROUNDING_SECONDS = 1


@pytest.fixture(scope="module")
def following(cluster, build, release, tmp_path_factory):
    return Later(cluster, build, "next", tmp_path_factory.mktemp("next"))


@pytest.fixture(scope="module")
def relaid(cluster, build, release, tmp_path_factory):
    return Later(cluster, build, "relaid", tmp_path_factory.mktemp("relaid"))


@pytest.fixture(scope="module")
def installed(cluster, release):
    """The revision to which helm goes back."""
    return json.loads(cluster.helm("history", "heddle", f"--namespace={NAMESPACE}", "--output=json"))[-1]["revision"]


def upgrade(cluster, chart, *values):
    cluster.helm("upgrade", "heddle", chart, f"--namespace={NAMESPACE}", "--reset-then-reuse-values",
                 *(f"--set={value}" for value in values))


def roll_back(cluster, revision):
    cluster.helm("rollback", "heddle", str(revision), f"--namespace={NAMESPACE}")


def seen_by_controllers(release, node):
    """{node: (the agent's version, the controller's)}: what `heddlectl status` on this node says of all nodes. A node
    is connected to one of the controllers."""
    rows = [line.split() for each in release.pods("heddle-controller") if is_ready(each)
            for line in release.heddlectl(node, f"--controller={each['status']['podIP']}:15014", "status", check=False)
            .split("\n\n")[0].splitlines()[1:]]
    return {row[0]: (row[2], row[3]) for row in rows if row[1] == "yes"}


def wait_versions(cluster, release, agents, controllers):
    """Every node has an agent of the one version that is ready and connected to a controller of the other one."""
    for workload in ("deployment/heddle-controller", "daemonset/heddle-agent"):
        release.rolled_out(workload)
    release.wait_connected()
    wanted = {node.name: (agents, controllers) for node in cluster.nodes}
    wait_until(lambda: seen_by_controllers(release, cluster.nodes[0]) == wanted, f"versions are {wanted}", SECONDS, 0.5)


class Rollout:
    """Requests within node2 and between the nodes, from construction on, and when each node was without an agent."""

    def __init__(self, cluster, release, shop, name):
        self._cluster, self._release, self._shop = cluster, release, shop
        self._restarts = shop.restarts()
        self._agents = self._by_node()
        (client1, client2), server = shop.pods("client"), shop.pods("web")[1]["status"]["podIP"]
        self._across = Requests(shop, client1["metadata"]["name"], server, f"{name}-across")
        self._within = Requests(shop, client2["metadata"]["name"], server, f"{name}-within")

    def _by_node(self):
        return {each["spec"]["nodeName"]: each for each in self._release.pods("heddle-agent")}

    def _without_agent(self):
        """{node: (since, until)} where the agent is another one than at first."""
        now, found = self._by_node(), {}
        for node, before in self._agents.items():
            if before["metadata"]["uid"] != now[node]["metadata"]["uid"]:
                told = wait_until(lambda: self._killing(before), "the kubelet says when it ended the agent", 30, 0.5)
                ready, = (c for c in now[node]["status"]["conditions"] if c["type"] == "Ready")
                found[node] = (seconds(told[0]["firstTimestamp"]), seconds(ready["lastTransitionTime"]))
        return found

    def _killing(self, agent):
        of_it = f"--field-selector=involvedObject.uid={agent['metadata']['uid']},reason=Killing"
        return json.loads(self._cluster.kubectl("get", "events", f"--namespace={NAMESPACE}", of_it, "--output=json"))[
            "items"]

    def end(self, replaced):
        """Nobody was restarted, everybody is inside, agents were replaced on so many nodes, and nothing failed but
        while a node on the way was without its agent (docs/operations.md)."""
        for requests in (self._across, self._within):
            requests.go_on()
            requests.stop()
        gaps = self._without_agent()
        assert len(gaps) == replaced
        assert beyond(self._across.failures(), gaps.values()) == []
        assert beyond(self._within.failures(), [gap for node, gap in gaps.items() if node == "node2"]) == []
        assert self._shop.restarts() == self._restarts
        assert_inside(self._cluster, self._release, self._shop)


def seconds(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()


def beyond(failures, gaps):
    """Those of the failures that none of the gaps explains."""
    wider = [(since - ROUNDING_SECONDS, until + ROUNDING_SECONDS) for since, until in gaps]
    return [(began, ended, wider) for began, ended in failures
            if not any(began <= until and ended >= since for since, until in wider)]


class Newcomers:
    """A pod on each node, with an identity that nobody had before; to be made while something happens."""

    def __init__(self, cluster, shop, name):
        self._cluster, self._shop, self._name = cluster, shop, name
        self._pods = {node: f"{name}-{node.name}" for node in cluster.nodes}
        shop.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}},
                   *(pod(each, pod_spec([HTTPD], node=node.name, serviceAccountName=name), {"app": name})
                     for node, each in self._pods.items()))

    def check(self, release):
        """They start, in the mesh; their identity is signed; a policy about it is obeyed."""
        shop, server = self._shop, self._shop.pods("web")[1]["status"]["podIP"]
        shop.ready(*self._pods.values())
        for node, each in self._pods.items():
            assert f"shop/{each}" in release.captured(node)
            wait_until(lambda: shop.ask(each, server) == (shop.address(each), shop.pods("web")[1]["metadata"]["name"]),
                       f"{each} is answered", 30)
            assert f"spiffe://cluster.local/ns/shop/sa/{self._name}" in release.heddlectl(node, "certificates")
        shop.apply({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
                    "metadata": {"name": self._name}, "spec": {
                        "selector": {"matchLabels": {"app": "web"}}, "action": "DENY",
                        "rules": [{"from": [{"source": {"serviceAccounts": [self._name]}}]}]}})
        for each in self._pods.values():
            wait_until(lambda: shop.ask(each, server) is None, "the policy has effect", 60)
        shop.delete("authorizationpolicy", self._name)
        for each in self._pods.values():
            wait_until(lambda: shop.ask(each, server) is not None, "and no more", 60)
            shop.delete("pod", each)


@pytest.fixture
def rollout(request, cluster, release, shop):
    return Rollout(cluster, release, shop, request.node.name)


def test_controllers_go_first(cluster, release, shop, following, installed, rollout):
    client, server = shop.pods("client")[0]["metadata"]["name"], shop.pods("web")[1]["status"]["podIP"]
    connection = Connection(shop, client, server, "controllers-first")
    upgrade(cluster, following.chart, "agent.updateStrategy=OnDelete")
    newcomers = Newcomers(cluster, shop, "first")
    release.rolled_out("deployment/heddle-controller")
    release.wait_connected()
    wanted = {node.name: (OURS, following.version) for node in cluster.nodes}
    wait_until(lambda: seen_by_controllers(release, cluster.nodes[0]) == wanted, f"versions are {wanted}", SECONDS, 0.5)
    newcomers.check(release)
    assert connection.is_alive()
    connection.stop()
    rollout.end(replaced=0)


def test_agents_follow(cluster, release, shop, following, rollout):
    upgrade(cluster, following.chart, "agent.updateStrategy=RollingUpdate")
    newcomers = Newcomers(cluster, shop, "follows")
    wait_versions(cluster, release, following.version, following.version)
    newcomers.check(release)
    rollout.end(replaced=2)


def test_controllers_go_back_alone(cluster, release, shop, following, rollout):
    cluster.kubectl("rollout", "undo", "deployment/heddle-controller", f"--namespace={NAMESPACE}")
    newcomers = Newcomers(cluster, shop, "alone")
    wait_versions(cluster, release, following.version, OURS)
    newcomers.check(release)
    rollout.end(replaced=0)


def test_a_release_is_rolled_back(cluster, release, shop, installed, rollout):
    roll_back(cluster, installed)
    newcomers = Newcomers(cluster, shop, "back")
    wait_versions(cluster, release, OURS, OURS)
    newcomers.check(release)
    rollout.end(replaced=2)


def pins(node):
    return sorted(node.run(["find", "/sys/fs/bpf/heddle", "-path", "*/netns/*", "-prune", "-o", "-print"])
                  .stdout.splitlines())


def refused_agent(release):
    """An agent that does not start because of the maps it finds: by the status of its pod, as `kubectl describe` shows
    it."""
    def message(each):
        states = [status.get(state, {}).get("terminated", {}) for status in each["status"].get("containerStatuses", ())
                  for state in ("state", "lastState")]
        return "".join(state.get("message", "") for state in states)

    return next((each for each in release.pods("heddle-agent")
                 if REFUSED in message(each) and "heddlectl purge" in message(each)), None)


def replace_agent(cluster, release, node):
    def is_observed():
        agents = cluster.find("daemonset", "heddle-agent", NAMESPACE)
        return agents["status"]["observedGeneration"] == agents["metadata"]["generation"]

    wait_until(is_observed, "the next agent is one of the upgrade", SECONDS, 0.2)
    cluster.kubectl("delete", "pod", release.agent(node), f"--namespace={NAMESPACE}", timeout=SECONDS)


def wait_agent(release, node, version):
    def is_there():
        found = [each for each in release.pods("heddle-agent") if each["spec"]["nodeName"] == node.name]
        return found and is_ready(found[0]) and found[0]["spec"]["containers"][0]["image"].endswith(f":{version}")

    wait_until(is_there, f"{node.name} has an agent of {version}", SECONDS, 0.5)


def test_maps_of_another_layout_are_refused_and_never_mixed(cluster, release, shop, relaid, installed):
    """Upgrade and rollback alike."""
    upgrade(cluster, relaid.chart)
    refused = wait_until(lambda: refused_agent(release), "an agent says that it does not start", SECONDS, 0.5)
    node, other = sorted(cluster.nodes, key=lambda each: each.name != refused["spec"]["nodeName"])
    client, server = (next(each for each in shop.pods(app) if each["spec"]["nodeName"] == node.name)
                      for app in ("client", "web"))
    name, address = client["metadata"]["name"], server["status"]["podIP"]
    assert "/sys/fs/bpf/heddle/v1/maps/hd_pods" in pins(node) and not any("v2" in pin for pin in pins(node))
    assert shop.ask(name, address) is None
    assert release.agent(other)  # The rollout has stopped here: the other node goes on.
    local = next(each for each in shop.pods("client") if each["spec"]["nodeName"] == other.name)
    near = next(each for each in shop.pods("web") if each["spec"]["nodeName"] == other.name)
    assert shop.ask(local["metadata"]["name"], near["status"]["podIP"]) is not None

    restarts = shop.restarts()
    roll_back(cluster, installed)
    wait_versions(cluster, release, OURS, OURS)
    wait_until(lambda: shop.ask(name, address) is not None, "the mesh carries traffic again", 30)
    assert shop.restarts() == restarts
    assert_inside(cluster, release, shop)


def move_node(cluster, release, shop, relaid, node):
    """As docs/operations.md has it: drained, purged, and in the mesh again."""
    for each in shop.pods():
        if each["spec"]["nodeName"] == node.name:
            shop.forget(each)
    cluster.kubectl("drain", node.name, "--ignore-daemonsets", "--delete-emptydir-data", "--force", "--timeout=90s",
                    timeout=99)
    replace_agent(cluster, release, node)
    wait_until(lambda: refused_agent(release), "it does not start on what it finds", SECONDS, 0.5)
    code, said = on_node(cluster, node, "purge")
    assert code == 0, said
    replace_agent(cluster, release, node)
    wait_agent(release, node, relaid.version)
    cluster.kubectl("uncordon", node.name)
    for workload in ("deployment/web", "deployment/client"):
        shop.rolled_out(workload)


def test_a_node_goes_over_when_it_is_drained_and_going_back_is_refused(cluster, release, shop, relaid, installed):
    node = cluster.nodes[1]
    upgrade(cluster, relaid.chart, "agent.updateStrategy=OnDelete")
    release.rolled_out("deployment/heddle-controller")
    move_node(cluster, release, shop, relaid, node)
    assert not any("v1" in pin for pin in pins(node))
    client, server = shop.pods("client")[0]["metadata"]["name"], shop.pods("web")[1]
    address, restarts = server["status"]["podIP"], shop.restarts()
    assert server["spec"]["nodeName"] == node.name
    wait_until(lambda: shop.ask(client, address) is not None, "the nodes talk", 30)

    roll_back(cluster, installed)
    refused = wait_until(lambda: refused_agent(release), "it does not go back", SECONDS, 0.5)
    assert refused["spec"]["nodeName"] == node.name
    assert "/sys/fs/bpf/heddle/v2/maps/hd_pods" in pins(node) and not any("v1" in pin for pin in pins(node))
    assert shop.ask(client, address) is None

    upgrade(cluster, relaid.chart, "agent.updateStrategy=OnDelete")
    replace_agent(cluster, release, node)
    wait_agent(release, node, relaid.version)
    wait_until(lambda: shop.ask(client, address) is not None, "the nodes talk", 30)
    assert shop.restarts() == restarts
    assert f"shop/{server['metadata']['name']}" in release.captured(node)


def test_the_older_release_purges_what_the_newer_one_made(cluster, release, shop, installed):
    node = cluster.nodes[1]
    shop.outside_yet()  # For a moment those of the node are.
    roll_back(cluster, installed)
    wait_until(lambda: refused_agent(release), "it does not go back", SECONDS, 0.5)
    code, said = on_node(cluster, node, "purge")
    assert code == 0 and "/sys/fs/bpf/heddle/v2" in said, said
    replace_agent(cluster, release, node)
    wait_versions(cluster, release, OURS, OURS)
    on_that = {f"shop/{each['metadata']['name']}" for each in shop.pods() if each["spec"]["nodeName"] == node.name}
    wait_until(lambda: on_that <= release.captured(node), "they are captured while they run", 60, 0.5)
    shop.taken_in()
