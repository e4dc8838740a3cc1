"""`helm uninstall` of a mesh that carries traffic on two real nodes: it leaves in order, and can be installed again."""

import base64
import json

import test_mesh as mesh
from acceptance.namespace import ECHO
from acceptance.traffic import Connection
from kube import istio
from kube.cluster.images import BUSYBOX
from test_mesh import NAMESPACE, SECONDS, address_of, agent_says, ports_between_nodes, rolled_out, whoami
from topology import wait_until

cluster = mesh.cluster  # The fixture: a mesh with a client, a server and a pod outside.
DRAIN_SECONDS = 20
# Of the node: they were mounted into the agent's container when it removed what was in them.
FOLDERS = ("/run/heddle", "/var/lib/heddle", "/var/lib/kubelet/seccomp/heddle")
STRICT = """
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: strict, namespace: shop}
spec: {mtls: {mode: STRICT}}
"""
# A connect every 20 ms; the count of those that failed so far is its last line.
HAMMER = """
failed=0; count=0
while [ ! -e /tmp/stop ]; do
  count=$((count + 1))
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {server} 8080 | grep -q ' 200 ' || failed=$((failed + 1))
  usleep 20000
done
echo count $count failed $failed
"""


def purged(node, prefix):
    """What heddlectl finds on the node, run as a person would with the node's own paths."""
    return node.run([prefix / "bin/heddlectl", "check", "--purged", f"--cgroup={mesh.CGROUP}",
                     f"--cni-stub={prefix}/libexec/heddle/heddle-cni-stub"], check=False)


def refuses_plaintext(cluster):
    """From the machine of the control plane, which is no node of the mesh."""
    return cluster.control.run(["curl", "-sS", "-m", "3", f"http://{address_of(cluster, 'server')}:{mesh.PORT}/"],
                               check=False).returncode != 0


def assert_nothing_is_left(cluster):
    """But the roots, Heddle's kinds, and what Kubernetes makes in every namespace."""
    def names(*options):
        kinds = cluster.kubectl("api-resources", "--verbs=list", "--output=name", options[0]).split()
        kinds = ",".join(name for name in kinds if "events" not in name)
        return set(cluster.kubectl("get", kinds, "--output=name", *options[1:]).split())

    def left():
        return names("--namespaced=true", f"--namespace={NAMESPACE}") - {
            "configmap/kube-root-ca.crt", "serviceaccount/default", "configmap/heddle-root", "secret/heddle-ca"}

    # What belonged to a Service or a Deployment follows it.
    wait_until(lambda: not left(), "nothing is left", 120, 0.5)
    assert {name for name in names("--namespaced=false") if "heddle" in name} == {
        f"namespace/{NAMESPACE}", "customresourcedefinition.apiextensions.k8s.io/interceptionpolicies.heddle.io",
        "apiservice.apiregistration.k8s.io/v1alpha1.heddle.io"}


def talk(cluster):
    assert whoami(cluster, address_of(cluster, "server")) == [address_of(cluster, "client"), "server"]


def start(cluster, name, node):
    cluster.kubectl("apply", "--filename=-", input=mesh.POD.format(
        name=name, namespace="shop", node=node, image=BUSYBOX))
    cluster.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--namespace=shop", f"--timeout={SECONDS}s",
                    timeout=SECONDS + 9)


class Hammer:
    """Connects from one pod to another all the time."""

    def __init__(self, cluster, client, server):
        self._cluster, self._client = cluster, client
        script = HAMMER.format(server=address_of(cluster, server))
        self._loop = cluster.control.spawn([cluster.programs["kubectl"], "exec", client, "--namespace=shop", "--", "sh",
                                            "-c", script], f"hammer-{client}")

    def stop(self):
        """(connects, those that failed)"""
        self._cluster.kubectl("exec", self._client, "--namespace=shop", "--", "touch", "/tmp/stop")
        said = wait_until(lambda: [line for line in self._loop.output().splitlines() if line.startswith("count")],
                          f"{self._client} ends", 30)
        return tuple(map(int, said[-1].split()[1::2]))


class Shop:
    """For a Connection between its pods."""

    def __init__(self, cluster):
        self._cluster = cluster

    def shell(self, pod, script):
        return self._cluster.kubectl("exec", pod, "--namespace=shop", "--", "sh", "-c", script)


def connect(cluster):
    """From the client to the server, which sends back what comes."""
    shop = Shop(cluster)
    shop.shell("server", f"nc -ll -p {ECHO} -e cat >/dev/null 2>&1 &")
    wait_until(lambda: f":{ECHO} " in shop.shell("server", "netstat -ltn"), "the server listens", 10)
    return Connection(shop, "client", address_of(cluster, "server"), "removal")


def made_with(node, name):
    """What the runtime has kept of the ADD of that pod: its parameters, and the configuration as it was then."""
    script = "for each in /var/lib/cni/results/pods-*; do cat $each; echo; done"  # Not of the loopback's.
    kept = [json.loads(line) for line in node.run(["sh", "-c", script]).stdout.splitlines() if line]
    found, = (each for each in kept if ["K8S_POD_NAME", name] in each["cniArgs"])
    return found


def delete_by_stub(node, kept):
    """The DEL of a runtime that goes by the configuration of the ADD, as the specification wants it; containerd goes by
    the one of now. What the plugin said and its exit code."""
    made = json.loads(base64.b64decode(kept["config"]))
    entry, = (plugin for plugin in made["plugins"] if plugin["type"] == "heddle-cni")
    given = {"cniVersion": made["cniVersion"], "name": made["name"], **entry, "prevResult": kept["result"]}
    parameters = {"COMMAND": "DEL", "CONTAINERID": kept["containerId"], "IFNAME": kept["ifName"], "NETNS": "",
                  "PATH": "/opt/cni/bin", "ARGS": ";".join("=".join(pair) for pair in kept["cniArgs"])}
    done = node.run(["env", *(f"CNI_{key}={value}" for key, value in parameters.items()), "/opt/cni/bin/heddle-cni"],
                    input=json.dumps(given), check=False)
    return done.stdout + done.stderr, done.returncode


def delete(cluster, name):
    cluster.kubectl("delete", "pod", name, "--namespace=shop", f"--timeout={SECONDS}s", timeout=SECONDS + 9)


def test_uninstall_under_traffic(cluster, prefix, tmp_path):
    """STRICT, which without the mesh nobody could keep. What the mesh carries then goes on for as long as is said."""
    istio.install(cluster, "PeerAuthentication")
    cluster.kubectl("apply", "--filename=-", input=STRICT)
    wait_until(lambda: refuses_plaintext(cluster), "plaintext is refused", 30, 0.5)
    assert ports_between_nodes(cluster, tmp_path, lambda: talk(cluster)) <= {mesh.HBONE}
    assert cluster.audit.refused() == []
    cluster.helm("upgrade", "heddle", mesh.CHART, f"--namespace={NAMESPACE}", "--reuse-values",
                 f"--set=removal.drainSeconds={DRAIN_SECONDS}")
    # As of a node that its platform registered anew, and whose agent was never ready.
    cluster.kubectl("taint", "node", "node2", "heddle.io/not-ready=:NoSchedule")
    start(cluster, "older", "node2")
    older, node2 = address_of(cluster, "older"), cluster.nodes[1]
    kept = made_with(node2, "older")
    hammers = [Hammer(cluster, "client", "server"), Hammer(cluster, "server", "client")]
    connection = connect(cluster)
    lines = connection.count()
    try:
        cluster.helm("uninstall", "heddle", f"--namespace={NAMESPACE}", "--timeout=280s", timeout=600)
    finally:
        counts = [hammer.stop() for hammer in hammers]
    assert all(count > 50 and failed == 0 for count, failed in counts), counts
    # Two lines a second, but for those of a busy machine.
    assert connection.count() - lines > DRAIN_SECONDS
    wait_until(connection.has_ended, "it was cut then", 30)
    assert ports_between_nodes(cluster, tmp_path, lambda: talk(cluster)) == {mesh.PORT}
    assert not refuses_plaintext(cluster)
    assert_nothing_is_left(cluster)
    assert "heddle.io/not-ready" not in str(cluster.find("node", "node2")["spec"].get("taints"))
    # Controllers end a moment after their roles, so of theirs only what was before is asked.
    assert cluster.audit.refused("heddle-removal") == []
    assert cluster.audit.accounts() == {"heddle-controller", "heddle-removal"}
    for node in cluster.nodes:
        found = purged(node, prefix)
        assert found.returncode == 0, found.stdout + found.stderr
        stays = {line.split(": ")[1] for line in found.stdout.splitlines() if line.startswith("kept: ")}
        assert stays == {"/opt/cni/bin/heddle-cni", *FOLDERS}, found.stdout
        for folder in FOLDERS:
            assert node.run(["ls", "-A", folder]).stdout == ""
    assert delete_by_stub(node2, kept) == ("", 0)
    delete(cluster, "older")
    wait_until(lambda: older not in node2.run(["ls", "/run/cni-ipam/pods"]).stdout, "its address is free", 30)
    late = (("late", "node1"), ("late2", "node2"))
    for name, node in late:
        start(cluster, name, node)
    for (client, _), (server, _) in zip(late, reversed(late)):
        for other in (server, "server"):
            assert whoami(cluster, address_of(cluster, other), client) == [address_of(cluster, client), other]


def test_it_can_be_installed_again(cluster, tmp_path):
    """What runs is captured in place, and the policy that was there all the while has effect again."""
    mesh.install(cluster)
    rolled_out(cluster, "deployment/heddle-controller")
    address = cluster.find("service", "heddle-controller", NAMESPACE)["spec"]["clusterIP"]
    mesh.install(cluster, f"agent.controllerAddress={address}:15012")
    rolled_out(cluster, "daemonset/heddle-agent")
    for node, name in (("node1", "client"), ("node1", "late"), ("node2", "server"), ("node2", "late2")):
        wait_until(lambda: f"shop/{name}" in agent_says(cluster, node, "pods"), "running pods are captured", 60, 0.5)
    wait_until(lambda: refuses_plaintext(cluster), "plaintext is refused", 30, 0.5)
    start(cluster, "new", "node2")
    assert "shop/new" in agent_says(cluster, "node2", "pods")
    assert ports_between_nodes(cluster, tmp_path, lambda: talk(cluster)) <= {mesh.HBONE}
    assert whoami(cluster, address_of(cluster, "new"), "late") == [address_of(cluster, "late"), "new"]
    for name in ("server", "new"):
        delete(cluster, name)
