"""The chart on two real nodes, installed by helm and nothing else: agents
that are not privileged put themselves into the chain and capture pods, and what crosses between the nodes is theirs.
"""

import base64
import json
import sys

import documented_metrics
import pytest
import yaml
from conftest import ROOT
from kube.cluster import Cluster
from kube.cluster.images import BUSYBOX
from topology import CommandFailed, wait_until
from topology.capture import Capture

sys.path.insert(0, str(ROOT / "scripts"))
import image as image_script  # noqa: E402

CHART = ROOT / "deploy/helm/heddle"
NAMESPACE = "heddle-system"
CGROUP = "/heddle-cgroup"  # Of each node, at one path: several nodes share this machine's hierarchy.
CONFLIST = "/etc/cni/net.d/10-pods.conflist"
SECONDS = 90
PORT = 8080
HBONE = 15008

# A client and a server on a node each, and a pod outside the mesh.
POD = """
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: {namespace}, labels: {{app: {name}}}}}
spec:
  nodeName: {node}
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: {image}
    command: [httpd, -f, -p, "8080", -h, /www]
    readinessProbe: {{httpGet: {{port: 8080, path: /}}, periodSeconds: 1}}
"""
PODS = (("client", "shop", "node1"), ("server", "shop", "node2"), ("outside", "plain", "node2"))


def install(cluster, *values):
    every = (f"agent.host.cgroup={CGROUP}", "agent.startupTaint.enabled=true", *values)
    cluster.helm("upgrade", "--install", "heddle", CHART, f"--namespace={NAMESPACE}", "--create-namespace",
                 *(f"--set={value}" for value in every))


def rolled_out(cluster, workload):
    cluster.kubectl("rollout", "status", workload, f"--namespace={NAMESPACE}", f"--timeout={SECONDS}s",
                    timeout=SECONDS + 9)


def pods(cluster, namespace, app):
    listed = cluster.kubectl("get", "pods", f"--namespace={namespace}", f"--selector=app={app}", "--output=json")
    return [pod for pod in json.loads(listed)["items"] if "deletionTimestamp" not in pod["metadata"]]


def prepare_nodes(cluster):
    for node in cluster.nodes:
        own, = (tree.path for tree in node.cgroup_root.trees if (tree.path / "cgroup.controllers").exists())
        node.run(["mkdir", "-p", CGROUP])
        node.run(["mount", "--bind", own, CGROUP])


@pytest.fixture(scope="module")
def cluster(prefix, tmp_path_factory):
    out = tmp_path_factory.mktemp("images")
    archives = [image_script.write(prefix, image, out, f"localhost/heddle-{image}:{image_script.version()}")
                for image in ("agent", "controller")]
    with Cluster(nodes=2, images=archives, audit=NAMESPACE) as made:
        prepare_nodes(made)
        install(made)
        rolled_out(made, "deployment/heddle-controller")
        # There is no DNS server in this cluster.
        address = made.find("service", "heddle-controller", NAMESPACE)["spec"]["clusterIP"]
        install(made, f"agent.controllerAddress={address}:15012")
        rolled_out(made, "daemonset/heddle-agent")
        made.kubectl("create", "namespace", "plain")
        made.kubectl("create", "namespace", "shop")
        made.kubectl("label", "namespace", "shop", "istio.io/dataplane-mode=ambient")
        made.kubectl("apply", "--filename=-", input="---".join(
            POD.format(name=name, namespace=namespace, node=node, image=BUSYBOX) for name, namespace, node in PODS))
        for name, namespace, _ in PODS:
            made.kubectl("wait", "--for=condition=Ready", f"pod/{name}", f"--namespace={namespace}",
                         f"--timeout={SECONDS}s", timeout=SECONDS + 9)
        yield made


def agent_says(cluster, node, *command):
    """What heddlectl in that node's agent prints."""
    agent, = (pod for pod in pods(cluster, NAMESPACE, "heddle-agent") if pod["spec"]["nodeName"] == node)
    return cluster.kubectl("exec", agent["metadata"]["name"], f"--namespace={NAMESPACE}", "--container=agent", "--",
                           "heddlectl", *command)


def address_of(cluster, name, namespace="shop"):
    return cluster.find("pod", name, namespace)["status"]["podIP"]


def whoami(cluster, server, client="client", namespace="shop"):
    """(the client's address as the server saw it, the server's name), by HTTP."""
    request = f"printf 'GET /cgi-bin/whoami HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {server} {PORT}"
    return cluster.kubectl("exec", client, f"--namespace={namespace}", "--", "sh", "-c", request).split()[-2:]


def ports_between_nodes(cluster, tmp_path, do):
    """The server ports of the TCP connections that cross the link of node1 while `do` runs, from outside the mesh."""
    watch = Capture(cluster.nodes[0], "link0", tmp_path / "link.pcap", "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn")
    try:
        do()
    finally:
        watch.stop()
    found = [line.split(" > ")[1].split(":")[0].rpartition(".") for line in watch.packets()]
    ours = {address_of(cluster, "client"), address_of(cluster, "server")}
    return {int(port) for address, _, port in found if address in ours}


def test_agents_are_ready_without_being_privileged_and_with_io_uring(cluster):
    for node in cluster.nodes:
        status = agent_says(cluster, node.name, "status")
        assert [node.name, "yes", "connected", "io_uring"] == status.splitlines()[1].split()[:4]


def test_agents_have_put_themselves_into_the_chain(cluster, prefix):
    for node in cluster.nodes:
        entry = json.loads(node.run(["cat", CONFLIST]).stdout)["plugins"][-1]
        assert entry == {"type": "heddle-cni", "runDir": "/run/heddle", "exemptNamespaces": ["kube-system", NAMESPACE]}
        node.run(["cmp", prefix / "libexec/heddle/heddle-cni", "/opt/cni/bin/heddle-cni"])


def test_the_root_is_in_a_secret_and_agents_have_its_certificate_alone(cluster):
    secret = cluster.find("secret", "heddle-ca", NAMESPACE)
    assert set(secret["data"]) == {"root-cert.pem", "root-key.pem"} and secret["type"] == "heddle.io/ca"
    root = base64.b64decode(secret["data"]["root-cert.pem"]).decode()
    assert cluster.find("configmap", "heddle-root", NAMESPACE)["data"] == {"root-cert.pem": root}


def test_the_agents_account_may_do_what_every_account_may_and_nothing_else(cluster):
    def rights(account):
        listed = cluster.kubectl("auth", "can-i", "--list", f"--namespace={NAMESPACE}", f"--as={account}",
                                 "--as-group=system:authenticated", "--as-group=system:serviceaccounts")
        return sorted(listed.splitlines())

    agent = rights(f"system:serviceaccount:{NAMESPACE}:heddle-agent")
    assert agent == rights(f"system:serviceaccount:{NAMESPACE}:default")
    assert not any(word in line for line in agent for word in ("pods", "secrets", "configmaps", "nodes"))


def test_pods_of_a_labelled_namespace_are_captured_and_others_are_not(cluster):
    assert "shop/client" in agent_says(cluster, "node1", "pods")
    captured = agent_says(cluster, "node2", "pods")
    assert "shop/server" in captured and "plain/outside" not in captured


def test_pods_reach_each_other_over_the_mesh_alone(cluster, tmp_path):
    answer = []
    server = address_of(cluster, "server")
    crossed = ports_between_nodes(cluster, tmp_path, lambda: answer.extend(whoami(cluster, server)))
    assert answer == [address_of(cluster, "client"), "server"]
    assert crossed == {HBONE}
    assert "spiffe://cluster.local/ns/shop/sa/default" in agent_says(cluster, "node1", "certificates")


def test_a_pod_outside_is_reached_in_clear_and_reaches_the_mesh_in_clear(cluster):
    assert whoami(cluster, address_of(cluster, "outside", "plain"))[1] == "outside"
    assert whoami(cluster, address_of(cluster, "client"), "outside", "plain")[1] == "client"


def test_what_the_document_says_of_metrics_is_what_the_programs_show(cluster):
    """Names, labels and, of labels whose values it names, each value; and what its rules for Prometheus ask for."""
    agent = "".join(node.run(["curl", "-fsS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout
                    for node in cluster.nodes)
    controller = "".join(cluster.control.run(["curl", "-fsS", "-m", "5", f"http://{ip}:15014/metrics"]).stdout
                         for ip in (pod["status"]["podIP"] for pod in pods(cluster, NAMESPACE, "heddle-controller")))
    page = documented_metrics.shown(agent + controller)
    assert documented_metrics.missing(documented_metrics.named(), page) == []
    rules = documented_metrics.rules()
    assert len(rules) >= 3 and all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules)
    for rule in rules:
        asked = documented_metrics.selectors(rule["expr"])
        assert asked and documented_metrics.missing(asked, documented_metrics.shown(agent)) == [], rule["alert"]
    # It can fail.
    wrong = documented_metrics.selectors('heddle_capture_gaps{why="x"} heddle_never heddle_loop_turns_total{loop="no"}')
    assert len(documented_metrics.missing(wrong, page)) == 4


def test_an_interception_policy_of_the_cluster_takes_effect_and_goes(cluster, tmp_path):
    policy = {"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy",
              "metadata": {"name": "in-clear", "namespace": "shop"}, "spec": {"excludedOutboundPorts": [PORT]}}
    server = address_of(cluster, "server")

    def crosses():
        return ports_between_nodes(cluster, tmp_path, lambda: whoami(cluster, server))

    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump(policy))
    wait_until(lambda: crosses() == {PORT}, "the excluded port leaves in clear", 30, 0.2)
    cluster.kubectl("delete", "interceptionpolicy/in-clear", "--namespace=shop")
    wait_until(lambda: PORT not in crosses(), "it is the mesh's again", 30, 0.2)


def evict(cluster, pod):
    """As `kubectl drain` does."""
    body = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}}
    cluster.kubectl("create", "--raw", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction", "--filename=-",
                    input=json.dumps(body))


def test_the_last_controller_is_not_drained(cluster):
    def allowed():
        return cluster.find("poddisruptionbudget", "heddle-controller", NAMESPACE)["status"]["disruptionsAllowed"]

    one, other = (pod["metadata"]["name"] for pod in pods(cluster, NAMESPACE, "heddle-controller"))
    wait_until(lambda: allowed() == 1, "both count", 60, 0.5)
    for node in cluster.nodes:
        cluster.kubectl("cordon", node.name)  # The next one has nowhere to start.
    try:
        evict(cluster, one)
        with pytest.raises(CommandFailed, match="disruption budget"):
            evict(cluster, other)
    finally:
        for node in cluster.nodes:
            cluster.kubectl("uncordon", node.name)
    rolled_out(cluster, "deployment/heddle-controller")
    wait_until(lambda: allowed() == 1, "both count again", 60, 0.5)
    assert other in {pod["metadata"]["name"] for pod in pods(cluster, NAMESPACE, "heddle-controller")}


def test_agents_are_replaced_under_pods_that_stay_captured(cluster):
    before = agent_says(cluster, "node1", "pods")
    cluster.kubectl("rollout", "restart", "daemonset/heddle-agent", f"--namespace={NAMESPACE}")
    rolled_out(cluster, "daemonset/heddle-agent")
    assert agent_says(cluster, "node1", "pods") == before
    assert whoami(cluster, address_of(cluster, "server")) == [address_of(cluster, "client"), "server"]


def test_a_pod_that_goes_is_let_go(cluster):
    cluster.kubectl("delete", "pod", "server", "--namespace=shop")
    wait_until(lambda: "shop/server" not in agent_says(cluster, "node2", "pods"), "it is released", 30, 0.2)


def test_the_api_server_has_refused_nothing_and_agents_have_asked_it_nothing(cluster):
    assert cluster.audit.refused() == []
    assert cluster.audit.accounts() == {"heddle-controller"}
