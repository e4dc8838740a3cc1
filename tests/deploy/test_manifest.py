"""`heddlectl install` and `upgrade` on a real API server: the same objects as the chart, from one source."""

import json
import sys

import pytest
import yaml
from conftest import ROOT
from kube.cluster import Cluster
from topology import CommandFailed, wait_until

sys.path.insert(0, str(ROOT / "scripts"))
import manifest  # noqa: E402

NAMESPACE = "heddle-system"
OURS = "app.kubernetes.io/part-of=heddle,app.kubernetes.io/managed-by=heddlectl"
READY = {"DaemonSet": {"desiredNumberScheduled": 1, "currentNumberScheduled": 1, "updatedNumberScheduled": 1,
                       "numberReady": 1, "numberAvailable": 1, "numberMisscheduled": 0},
         "Deployment": {"replicas": 1, "updatedReplicas": 1, "readyReplicas": 1, "availableReplicas": 1}}
WORKLOADS = {"Deployment": "heddle-controller", "DaemonSet": "heddle-agent"}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        yield made


def heddlectl(cluster, build, *arguments):
    return [build / "bin/heddlectl", *arguments, f"--manifest={manifest.MANIFEST}", f"--namespace={NAMESPACE}",
            f"--kubeconfig={cluster.control_plane.kubeconfig('admin')}"]


def run(cluster, build, *arguments):
    """(exit code, everything it said)"""
    done = cluster.control.run(heddlectl(cluster, build, *arguments), check=False, timeout=90)
    return done.returncode, done.stdout + done.stderr


def write_status(cluster, kind):
    """What the controllers of a whole cluster would write: there are none here."""
    found = cluster.find(kind.lower(), WORKLOADS[kind], NAMESPACE)
    if found is None:
        return False
    replicas = found["spec"].get("replicas", 1)
    status = {name: count * replicas for name, count in READY[kind].items()}
    status["observedGeneration"] = found["metadata"]["generation"]
    cluster.kubectl("patch", kind.lower(), WORKLOADS[kind], f"--namespace={NAMESPACE}", "--subresource=status",
                    "--type=merge", f"--patch={json.dumps({'status': status})}")
    return True


def run_until_ready(cluster, build, *arguments):
    """Runs it, and lets the workloads become ready while it waits; what it said."""
    running = cluster.control.spawn(heddlectl(cluster, build, *arguments, "--timeout=60"), "heddlectl")

    def ended():
        for kind in WORKLOADS:
            write_status(cluster, kind)
        return running.exit_code is not None

    wait_until(ended, "it ends", 90, 0.5)
    return running.output()


def inventory(cluster):
    kinds = ("crd,namespace,serviceaccount,clusterrole,clusterrolebinding,role,rolebinding,configmap,service,"
             "deployment,daemonset,pdb,pvc,validatingadmissionpolicy,validatingadmissionpolicybinding")
    return set(cluster.kubectl("get", kinds, "--all-namespaces", "--output=name", f"--selector={OURS}").split())


def test_the_manifest_is_what_the_chart_gives(cluster):
    assert manifest.MANIFEST.read_text() == manifest.render(cluster.programs.helm()), (
        "the chart has changed: run scripts/manifest.py with helm")


def test_a_dry_run_changes_nothing(cluster, build):
    code, said = run(cluster, build, "install", "--dry-run=server")
    assert code == 0 and "ClusterRole heddle-controller created (dry run)" in said, said
    assert inventory(cluster) == set() and cluster.find("namespace", NAMESPACE) is None
    code, said = run(cluster, build, "install", "--dry-run=client")
    assert json.loads(said)["kind"] == "List"


def test_it_installs_what_the_chart_installs_and_waits_until_it_is_ready(cluster, build):
    said = run_until_ready(cluster, build, "install", "--set=log.level=debug")
    assert "nobody has looked at it yet" in said and "controller and agents are ready" in said, said
    chart = cluster.helm("template", "heddle", manifest.CHART, f"--namespace={NAMESPACE}", "--set=log.level=debug")
    for made in yaml.safe_load_all(chart):
        if not made or "helm.sh/hook" in made["metadata"].get("annotations", {}):
            continue
        found = cluster.find(made["kind"].lower(), made["metadata"]["name"], made["metadata"].get("namespace"))
        assert found["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "heddlectl"
        for container in made.get("spec", {}).get("template", {}).get("spec", {}).get("containers", ()):
            ours, = (c for c in found["spec"]["template"]["spec"]["containers"] if c["name"] == container["name"])
            assert ours["args"] == container["args"] and ours["image"] == container["image"]
            assert ours["securityContext"] == container["securityContext"]
        for field in ("rules", "subjects", "data"):
            assert found.get(field) == made.get(field), made["metadata"]["name"]


def test_it_does_not_install_twice(cluster, build):
    code, said = run(cluster, build, "install")
    assert code == 1 and "use heddlectl upgrade" in said


def test_an_upgrade_changes_what_differs_and_removes_what_is_no_more(cluster, build):
    labels = {"app.kubernetes.io/part-of": "heddle", "app.kubernetes.io/managed-by": "heddlectl"}
    old = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "of-an-old-version", "namespace": NAMESPACE,
                                                                 "labels": labels}}
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump(old))
    said = run_until_ready(cluster, build, "upgrade", "--set=log.level=warn")
    assert "ConfigMap heddle-system/of-an-old-version deleted" in said, said
    assert "DaemonSet heddle-system/heddle-agent configured" in said
    assert "Service heddle-system/heddle-controller unchanged" in said
    assert cluster.find("configmap", "of-an-old-version", NAMESPACE) is None
    args = cluster.find("daemonset", "heddle-agent", NAMESPACE)["spec"]["template"]["spec"]["containers"][0]["args"]
    assert "--log-level=warn" in args


def test_a_wait_that_is_too_long_says_why(cluster, build):
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "heddle-agent-x", "namespace": NAMESPACE,
                                                           "labels": {"app": "heddle-agent"}},
           "spec": {"automountServiceAccountToken": False, "containers": [{"name": "agent", "image": "none:1"}]}}
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all([
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": NAMESPACE}}, pod]))
    waiting = {"status": {"phase": "Pending", "containerStatuses": [{
        "name": "agent", "image": "none:1", "imageID": "", "ready": False, "restartCount": 0,
        "state": {"waiting": {"reason": "ErrImagePull", "message": "there is no such image"}}}]}}
    cluster.kubectl("patch", "pod", "heddle-agent-x", f"--namespace={NAMESPACE}", "--subresource=status",
                    "--type=merge", f"--patch={json.dumps(waiting)}")
    write_status(cluster, "Deployment")
    not_ready = {"status": {"numberReady": 0, "numberAvailable": 0}}
    cluster.kubectl("patch", "daemonset", "heddle-agent", f"--namespace={NAMESPACE}", "--subresource=status",
                    "--type=merge", f"--patch={json.dumps(not_ready)}")
    code, said = run(cluster, build, "upgrade", "--timeout=2", "--set=log.level=warn")
    assert code == 1 and "heddle-agent-x: agent: ErrImagePull there is no such image" in said, said


def test_a_failed_check_of_the_cluster_stops_it(cluster, build):
    cluster.kubectl("label", "namespace", NAMESPACE, "--overwrite", "pod-security.kubernetes.io/enforce=baseline")
    code, said = run(cluster, build, "upgrade")
    assert code == 1 and "--skip-checks" in said and "pod-security" in said


def test_what_helm_installed_is_left_to_helm(build):
    with Cluster(nodes=0) as fresh:
        fresh.helm("install", "mesh", manifest.CHART, f"--namespace={NAMESPACE}", "--create-namespace")
        before = fresh.kubectl("get", "daemonset", "heddle-agent", f"--namespace={NAMESPACE}", "--output=yaml")
        for command in ("install", "upgrade"):
            code, said = run(fresh, build, command)
            assert code == 1 and "is of a Helm release (mesh): use helm upgrade" in said, said
        code, said = uninstall(fresh, build)
        assert code == 1 and "is of a Helm release (mesh): use helm uninstall" in said, said
        after = fresh.kubectl("get", "daemonset", "heddle-agent", f"--namespace={NAMESPACE}", "--output=yaml")
        assert before == after


def test_a_setting_that_is_none_is_refused_before_anything_happens(cluster, build):
    code, said = run(cluster, build, "upgrade", "--set=agent.workerz=3")
    assert code == 1 and "cannot be set here" in said and "image.registry=localhost" in said
    with pytest.raises(CommandFailed):
        cluster.control.run([build / "bin/heddlectl", "install", "--manifest=/none"])


def uninstall(cluster, build, *options):
    done = cluster.control.run([build / "bin/heddlectl", "uninstall", f"--namespace={NAMESPACE}", *options,
                                f"--kubeconfig={cluster.control_plane.kubeconfig('admin')}"], check=False, timeout=90)
    return done.returncode, done.stdout + done.stderr


def test_it_deletes_nothing_while_a_node_may_be_captured(cluster, build):
    before = inventory(cluster)
    code, said = uninstall(cluster, build, "--timeout=1")
    assert code == 1 and "no controller has taken it up" in said, said
    assert inventory(cluster) == before
    assert uninstall(cluster, build, "--cancel")[0] == 0
    code, said = uninstall(cluster, build, "--prepare", "--finish")
    assert code == 1 and "one of them, or none" in said


def test_what_somebody_takes_back_is_not_deleted_by_force(cluster, build):
    """A node that does not answer is given up by --force; nodes that capture their pods again are not."""
    before = inventory(cluster)
    running = cluster.control.spawn([build / "bin/heddlectl", "uninstall", f"--namespace={NAMESPACE}", "--force",
                                     f"--kubeconfig={cluster.control_plane.kubeconfig('admin')}"], "uninstall")
    wait_until(lambda: cluster.find("configmap", "heddle-removal", NAMESPACE), "the removal is asked for", 30, 0.2)
    assert uninstall(cluster, build, "--cancel")[0] == 0
    wait_until(lambda: running.exit_code is not None, "the uninstall ends", 60, 0.2)
    assert running.exit_code == 1 and "the removal was taken back" in running.output(), running.output()
    assert inventory(cluster) == before


def test_it_deletes_what_it_made_once_the_mesh_has_left(cluster, build):
    cluster.kubectl("delete", "pod", "heddle-agent-x", f"--namespace={NAMESPACE}", "--now")
    # What the controllers would write, and one that was asked for before is gone on with.
    cluster.kubectl("create", "configmap", "heddle-removal", f"--namespace={NAMESPACE}", "--from-literal=phase=gone")
    code, said = uninstall(cluster, build)
    assert code == 0 and "DaemonSet heddle-system/heddle-agent deleted" in said and "what stays" in said, said
    assert inventory(cluster) == {"customresourcedefinition.apiextensions.k8s.io/interceptionpolicies.heddle.io",
                                  f"namespace/{NAMESPACE}"}
    assert cluster.find("configmap", "heddle-removal", NAMESPACE) is None


def test_an_interrupted_removal_is_finished_and_a_second_one_finds_nothing(cluster, build):
    cluster.kubectl("create", "configmap", "heddle-removal", f"--namespace={NAMESPACE}", "--from-literal=phase=gone")
    assert uninstall(cluster, build)[0] == 0
    code, said = uninstall(cluster, build)
    assert code == 1 and "there is nothing in heddle-system that heddlectl install made" in said


def test_a_removal_that_is_left_over_is_no_base_for_an_install(cluster, build):
    """Its agents would let go at once, and be ready."""
    cluster.kubectl("create", "configmap", "heddle-removal", f"--namespace={NAMESPACE}", "--from-literal=phase=gone")
    for options in ((), ("--skip-checks",)):
        code, said = run(cluster, build, "install", *options, "--timeout=1")
        assert code == 1 and "heddlectl uninstall --cancel" in said, said
    assert cluster.find("daemonset", "heddle-agent", NAMESPACE) is None
    assert uninstall(cluster, build, "--cancel")[0] == 0
