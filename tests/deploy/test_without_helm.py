"""`heddlectl install`, `upgrade` and `uninstall` on two real nodes, as somebody without Helm uses them: with the
installed program and nothing else. The pods are there before the mesh is."""

import pytest
import test_mesh as mesh
import yaml
from kube import istio
from kube.cluster import Cluster
from kube.cluster.images import BUSYBOX
from test_mesh import NAMESPACE, SECONDS, address_of, agent_says, whoami
from test_removal import HAMMER, STRICT, purged
from topology import wait_until

# There is no DNS server in this cluster, so the controller's address is chosen beforehand.
ADDRESS = "10.96.0.77"
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "heddle-controller", "namespace": NAMESPACE},
           "spec": {"clusterIP": ADDRESS, "ports": [{"name": "xds", "port": 15012}]}}
SETTINGS = (f"agent.host.cgroup={mesh.CGROUP}", f"agent.controllerAddress={ADDRESS}:15012")
KEPT = {"customresourcedefinition.apiextensions.k8s.io/interceptionpolicies.heddle.io", f"namespace/{NAMESPACE}"}


@pytest.fixture(scope="module")
def cluster(prefix, tmp_path_factory):
    out = tmp_path_factory.mktemp("images")
    archives = [mesh.image_script.write(prefix, image, out, f"localhost/heddle-{image}:{mesh.image_script.version()}")
                for image in ("agent", "controller")]
    with Cluster(nodes=2, images=archives) as made:
        mesh.prepare_nodes(made)
        for name in (NAMESPACE, "shop"):
            made.kubectl("create", "namespace", name)
        made.kubectl("label", "namespace", "shop", "istio.io/dataplane-mode=ambient")
        made.kubectl("apply", "--filename=-", input=yaml.safe_dump(SERVICE))
        made.kubectl("apply", "--filename=-", input="---".join(
            mesh.POD.format(name=name, namespace="shop", node=node, image=BUSYBOX)
            for name, node in (("client", "node1"), ("server", "node2"))))
        wait_ready(made, "client", "server")
        yield made


def wait_ready(cluster, *names):
    cluster.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--namespace=shop",
                    f"--timeout={SECONDS}s", timeout=SECONDS + 9)


def heddlectl(cluster, prefix, *arguments):
    """(exit code, what it said)"""
    done = cluster.control.run([prefix / "bin/heddlectl", *arguments, f"--namespace={NAMESPACE}",
                                f"--kubeconfig={cluster.control_plane.kubeconfig('admin')}"], check=False, timeout=300)
    return done.returncode, done.stdout + done.stderr


def put(cluster, prefix, command, *settings, timeout=120):
    return heddlectl(cluster, prefix, command, *(f"--set={setting}" for setting in (*SETTINGS, *settings)),
                     f"--timeout={timeout}")


def captured_running(node):
    lines = node.run(["curl", "-fsS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout.splitlines()
    return [float(line.split()[-1]) for line in lines if line.startswith("heddle_pods_captured_running_total")]


def assert_in_the_mesh(cluster):
    for node, name in zip(cluster.nodes, ("client", "server")):
        assert f"shop/{name}" in agent_says(cluster, node.name, "pods")
    assert whoami(cluster, address_of(cluster, "server")) == [address_of(cluster, "client"), "server"]


def test_it_installs_with_its_progress_and_ends_when_the_mesh_is_ready(cluster, prefix):
    code, said = put(cluster, prefix, "install")
    assert code == 0 and "controller and agents are ready" in said, said
    lines = said.splitlines()
    assert "DaemonSet heddle-system/heddle-agent: 2 of 2 are ready" in lines
    assert lines.index("Deployment heddle-system/heddle-controller: 2 of 2 are ready") < lines.index(
        "DaemonSet heddle-system/heddle-agent: 2 of 2 are ready")
    for node in cluster.nodes:
        assert agent_says(cluster, node.name, "ready").startswith("ready")
        assert "heddle-cni" in node.run(["cat", mesh.CONFLIST]).stdout


def test_pods_that_were_faster_are_captured_within_ten_seconds_and_counted(cluster):
    for node, name in zip(cluster.nodes, ("client", "server")):
        wait_until(lambda: f"shop/{name}" in agent_says(cluster, node.name, "pods"), "it is captured", 10, 0.2)
        wait_until(lambda: captured_running(node) == [1], "it is counted", 10)
    assert_in_the_mesh(cluster)
    istio.install(cluster, "PeerAuthentication")
    cluster.kubectl("apply", "--filename=-", input=STRICT)
    outside = ["curl", "-sS", "-m", "3", f"http://{address_of(cluster, 'server')}:{mesh.PORT}/"]
    wait_until(lambda: cluster.control.run(outside, check=False).returncode != 0, "plaintext is refused", 30, 0.5)
    assert_in_the_mesh(cluster)


def test_an_upgrade_that_cannot_work_says_why_and_the_next_one_goes_on_from_there(cluster, prefix):
    code, said = put(cluster, prefix, "upgrade", "image.tag=never-made", timeout=20)
    assert code == 1 and "localhost/heddle-controller:never-made" in said, said
    assert "DaemonSet" not in said  # An agent that is replaced by none would leave its node's pods without a mesh.
    assert_in_the_mesh(cluster)
    code, said = put(cluster, prefix, "upgrade", "log.level=debug")
    assert code == 0 and "DaemonSet heddle-system/heddle-agent configured" in said, said
    assert_in_the_mesh(cluster)
    for node in cluster.nodes:
        assert captured_running(node) == [0]  # Adopted, not captured anew.


def test_it_uninstalls_under_traffic(cluster, prefix):
    hammer = cluster.control.spawn([cluster.programs["kubectl"], "exec", "client", "--namespace=shop", "--", "sh", "-c",
                                    HAMMER.format(server=address_of(cluster, "server"))], "hammer")
    try:
        code, said = heddlectl(cluster, prefix, "uninstall")
    finally:
        cluster.kubectl("exec", "client", "--namespace=shop", "--", "touch", "/tmp/stop")
    assert code == 0, said
    for line in ("3/3 release", "node node1: gone", "node node2: gone",
                 "DaemonSet heddle-system/heddle-agent deleted", "nothing of Heddle runs any more"):
        assert line in said, said
    last = wait_until(lambda: [line for line in hammer.output().splitlines() if line.startswith("count")],
                      "the client ends", 30)[-1]
    count, failed = last.split()[1::2]
    assert int(count) > 50 and int(failed) == 0, last
    for node in cluster.nodes:
        found = purged(node, prefix)
        assert found.returncode == 0, found.stdout + found.stderr
    kinds = ("crd,namespace,serviceaccount,clusterrole,clusterrolebinding,role,rolebinding,service,deployment,"
             "daemonset,pdb,validatingadmissionpolicy,validatingadmissionpolicybinding")
    assert set(cluster.kubectl("get", kinds, "--all-namespaces", "--output=name",
                               "--selector=app.kubernetes.io/part-of=heddle").split()) == KEPT
    left = cluster.kubectl("get", "configmap,secret,lease", f"--namespace={NAMESPACE}", "--output=name").split()
    assert set(left) == {"configmap/heddle-root", "configmap/kube-root-ca.crt", "secret/heddle-ca"}
    cluster.kubectl("apply", "--filename=-", input=mesh.POD.format(
        name="late", namespace="shop", node="node1", image=BUSYBOX))
    wait_ready(cluster, "late")
    assert whoami(cluster, address_of(cluster, "late")) == [address_of(cluster, "client"), "late"]
