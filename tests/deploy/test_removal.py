"""`helm uninstall` of a mesh that carries traffic on two real nodes: it leaves in order, and can be installed again."""

import test_mesh as mesh
from kube.cluster.images import BUSYBOX
from test_mesh import NAMESPACE, SECONDS, address_of, agent_says, rolled_out, whoami
from topology import wait_until

cluster = mesh.cluster  # The fixture: a mesh with a client, a server and a pod outside.
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
  printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {server} 8080 >/dev/null || failed=$((failed + 1))
  usleep 20000
done
echo count $count failed $failed
"""


def purged(node, prefix):
    """What heddlectl finds on the node, run as a person would with the node's own paths."""
    return node.run([prefix / "bin/heddlectl", "check", "--purged", f"--cgroup={mesh.CGROUP}",
                     f"--cni-stub={prefix}/libexec/heddle/heddle-cni-stub"], check=False)


def test_uninstall_under_traffic(cluster, prefix, tmp_path):
    server = address_of(cluster, "server")
    hammer = cluster.control.spawn([cluster.programs["kubectl"], "exec", "client", "--namespace=shop", "--", "sh", "-c",
                                    HAMMER.format(server=server)], "hammer")
    try:
        cluster.helm("uninstall", "heddle", f"--namespace={NAMESPACE}", "--timeout=280s", timeout=600)
    finally:
        cluster.kubectl("exec", "client", "--namespace=shop", "--", "touch", "/tmp/stop")
    said = wait_until(lambda: [line for line in hammer.output().splitlines() if line.startswith("count")],
                      "the client ends", 30)
    count, failed = said[-1].split()[1::2]
    assert int(count) > 50 and int(failed) == 0, said
    assert whoami(cluster, server) == [address_of(cluster, "client"), "server"]
    assert cluster.find("configmap", "heddle-removal", NAMESPACE) is None
    for node in cluster.nodes:
        found = purged(node, prefix)
        assert found.returncode == 0, found.stdout + found.stderr
    cluster.kubectl("apply", "--filename=-", input=mesh.POD.format(
        name="late", namespace="shop", node="node1", image=BUSYBOX))
    cluster.kubectl("wait", "--for=condition=Ready", "pod/late", "--namespace=shop", f"--timeout={SECONDS}s",
                    timeout=SECONDS + 9)
    cluster.kubectl("delete", "pod", "server", "--namespace=shop", f"--timeout={SECONDS}s", timeout=SECONDS + 9)


def test_it_can_be_installed_again(cluster):
    """What runs is captured in place."""
    mesh.install(cluster)
    rolled_out(cluster, "deployment/heddle-controller")
    address = cluster.find("service", "heddle-controller", NAMESPACE)["spec"]["clusterIP"]
    mesh.install(cluster, f"agent.controllerAddress={address}:15012")
    rolled_out(cluster, "daemonset/heddle-agent")
    wait_until(lambda: "shop/client" in agent_says(cluster, "node1", "pods"), "running pods are captured", 60, 0.5)
