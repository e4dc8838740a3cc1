"""`heddlectl check --pre` on a real API server, and on this machine's kernel."""

import json
import os
import pathlib
import subprocess

import pytest
import yaml
from kube import istio
from kube.cluster import Cluster

MANIFEST = pathlib.Path(__file__).resolve().parents[2] / "deploy/manifest/heddle.json"
CHAIN = {"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"}]}
# A pod whose object says that it runs: there is no kubelet.
POD = {"apiVersion": "v1", "kind": "Pod",
       "metadata": {"name": "hook-1", "namespace": "shop", "labels": {"app": "hook"}},
       "spec": {"automountServiceAccountToken": False,
                "containers": [{"name": "c", "image": "none:1", "ports": [{"name": "https", "containerPort": 9443}]}]}}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hook", "namespace": "shop"},
           "spec": {"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": "https"}]}}
WEBHOOK = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
           "metadata": {"name": "hooks"},
           "webhooks": [{"name": "hook.shop.example", "sideEffects": "None", "admissionReviewVersions": ["v1"],
                         "clientConfig": {"service": {"namespace": "shop", "name": "hook"}},
                         "rules": [{"apiGroups": ["nothing.example"], "apiVersions": ["v1"], "operations": ["CREATE"],
                                    "resources": ["things"]}]}]}
AGGREGATED = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": {"name": "v1.other.example"},
              "spec": {"group": "other.example", "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 100,
                       "insecureSkipTLSVerify": True, "service": {"namespace": "shop", "name": "hook", "port": 443}}}
STRICT = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
          "metadata": {"name": "strict", "namespace": "istio-system"}, "spec": {"mtls": {"mode": "STRICT"}}}
POLICY = {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
          "metadata": {"name": "https-only", "namespace": "shop"},
          "spec": {"podSelector": {}, "ingress": [{"ports": [{"port": 9443}]}]}}
ZTUNNEL = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "ztunnel", "namespace": "istio-system"},
           "spec": {"selector": {"matchLabels": {"app": "ztunnel"}},
                    "template": {"metadata": {"labels": {"app": "ztunnel"}},
                                 "spec": {"containers": [{"name": "c", "image": "none:1"}]}}}}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        made.kubectl("create", "namespace", "istio-system")
        yield made


def check(place, build, *options, kubeconfig=None):
    """(exit code, {check: [finding]})"""
    access = ["--kubeconfig", kubeconfig] if kubeconfig else ["--no-cluster"]
    done = place.run([build / "bin/heddlectl", "check", "--pre", "--output=json", *access, *options], check=False)
    found = {}
    for finding in json.loads(done.stdout)["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return done.returncode, found


def check_cluster(cluster, build, user="admin"):
    return check(cluster.control, build, "--no-node", kubeconfig=cluster.control_plane.kubeconfig(user))


def apply(cluster, *objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


def test_an_empty_cluster_is_well(cluster, build):
    code, found = check_cluster(cluster, build)
    assert code == 0 and set(found) == {"api-server", "permissions", "removal", "pod-security", "other-meshes",
                                        "network-policies", "strict-calls"}
    assert {finding["verdict"] for findings in found.values() for finding in findings} == {"ok"}


def test_what_is_in_the_way_is_named(cluster, build):
    istio.install(cluster, "PeerAuthentication")
    cluster.kubectl("create", "namespace", "shop")
    cluster.kubectl("label", "namespace", "shop", "istio.io/dataplane-mode=ambient")
    apply(cluster, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "shop"}},
          SERVICE, WEBHOOK, AGGREGATED, STRICT, POLICY, ZTUNNEL)
    apply(cluster, POD)
    apply(cluster, {"apiVersion": "v1", "kind": "Namespace", "metadata": {
        "name": "heddle-system", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}})
    code, found = check_cluster(cluster, build)
    cluster.kubectl("delete", "apiservice", AGGREGATED["metadata"]["name"])  # Who lists kinds would ask it.
    failed = {name: " ".join(finding["sentence"] for finding in findings if finding["verdict"] == "failed")
              for name, findings in found.items() if any(finding["verdict"] == "failed" for finding in findings)}
    assert code == 1 and set(failed) == {"pod-security", "other-meshes", "network-policies", "strict-calls"}
    assert "istio-system/ztunnel" in failed["other-meshes"]
    assert "https-only" in failed["network-policies"] and "hook-1" in failed["network-policies"]
    for what in ("ValidatingWebhookConfiguration hooks", "APIService v1.other.example"):
        assert f"{what}: the API server calls shop/hook, whose pods take mutual TLS only" in failed["strict-calls"]
    assert ['"9443"' in finding["advice"] for finding in found["strict-calls"]] == [True, True]


def test_who_may_not_install_or_look_is_told_so(cluster, build):
    code, found = check_cluster(cluster, build, "proxy")
    assert code == 1 and "create, patch, delete namespaces" in found["permissions"][0]["sentence"]
    assert any("403 Forbidden" in finding["sentence"] for finding in found["read"])
    assert {finding["verdict"] for finding in found["read"]} == {"skipped"}


def as_account(cluster, name, rules):
    """A kubeconfig of an account that may do this and nothing else."""
    role = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": rules}
    cluster.kubectl("create", "serviceaccount", name, "--namespace=kube-system")
    apply(cluster, role)
    cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={name}",
                    f"--serviceaccount=kube-system:{name}")
    config = yaml.safe_load(pathlib.Path(cluster.control_plane.kubeconfig("admin")).read_text())
    token = cluster.kubectl("create", "token", name, "--namespace=kube-system").strip()
    config["users"] = [{**user, "user": {"token": token}} for user in config["users"]]
    (cluster.dir / name).write_text(yaml.safe_dump(config))
    return cluster.dir / name


def test_who_may_do_what_is_asked_for_can_install_and_nobody_with_less(build):
    look = {"apiGroups": ["*"], "resources": ["*"], "verbs": ["get", "list"]}
    with Cluster(nodes=0) as cluster:
        cluster.kubectl("create", "namespace", "heddle-system")
        nothing = as_account(cluster, "nothing", [look])
        _, found = check(cluster.control, build, "--no-node", kubeconfig=nothing)
        asked, = (finding["sentence"].removeprefix("who asks may not ") for finding in found["permissions"])
        rules = []
        for rule in asked.split("; "):
            *verbs, resource, group = [*rule.replace(",", "").partition(".")[0].split(), rule.partition(".")[2]]
            rules.append({"apiGroups": [group], "resources": [resource], "verbs": verbs})
        enough = as_account(cluster, "enough", [look, *rules])
        assert check(cluster.control, build, "--no-node", kubeconfig=enough)[1]["permissions"][0]["verdict"] == "ok"

        def install(kubeconfig):
            return cluster.control.run([build / "bin/heddlectl", "install", f"--kubeconfig={kubeconfig}",
                                        "--dry-run=server", f"--manifest={MANIFEST}"], check=False)

        done = install(enough)
        assert done.returncode == 0 and "not tried" not in done.stderr, done.stderr
        less = as_account(cluster, "less", [look, *(rule for rule in rules if rule["resources"] != ["rolebindings"])])
        done = install(less)
        assert done.returncode == 1 and "rolebindings.rbac.authorization.k8s.io" in done.stderr, done.stderr


def test_an_api_server_that_is_not_there_is_one_failed_finding(cluster, build):
    gone = yaml.safe_load(pathlib.Path(cluster.control_plane.kubeconfig("admin")).read_text())
    gone["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    (cluster.dir / "gone").write_text(yaml.safe_dump(gone))
    code, found = check(cluster.control, build, "--no-node", kubeconfig=cluster.dir / "gone")
    assert code == 1 and list(found) == ["api-server"]
    assert "refused" in found["api-server"][0]["sentence"]


def test_this_machine_can_do_what_an_agent_needs_and_nothing_of_the_trial_stays(cluster, build, tmp_path):
    for folder in ("etc/cni/net.d", "opt/cni/bin"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/cni/net.d/10-pods.conflist").write_text(json.dumps(CHAIN))
    code, found = check(cluster.control, build, f"--host-root={tmp_path}")
    assert code == 0, found
    for name in ("kernel-programs", "cgroup-move", "pod-network", "bpf-programs", "cni-chain", "ports"):
        assert [finding["verdict"] for finding in found[name]] == ["ok"], found[name]
    for place, pattern in (("/sys/fs/bpf", "heddle-trial*"), ("/sys/fs/cgroup", "**/heddle-trial*")):
        assert list(pathlib.Path(place).glob(pattern)) == []


def cgroup2():
    """(where it is mounted, with which options of its own)"""
    point, options = next(line.split()[1:4:2] for line in pathlib.Path("/proc/mounts").read_text().splitlines()
                          if line.split()[2] == "cgroup2")
    return point, set(options.split(",")) - {"rw", "relatime", "nosuid", "nodev", "noexec"}


def set_cgroup2_options(options, folder):
    """They count for all of cgroup2, whichever mount was last: one that nobody sees, and that is gone again."""
    chosen = f"-o {','.join(sorted(options))}" if options else ""
    subprocess.run(["unshare", "--mount", "sh", "-c", f"mount -t cgroup2 {chosen} none {folder} && umount {folder}"],
                   check=True)


def test_a_process_moves_into_its_leaf_where_cgroups_are_delegated(cluster, build, tmp_path):
    """nsdelegate means nothing to who is in the first cgroup namespace, as all other programs of this machine are."""
    root, before = cgroup2()
    own = pathlib.Path(root) / f"heddle-delegated-{os.getpid()}"
    own.mkdir()
    set_cgroup2_options(before | {"nsdelegate"}, tmp_path)
    try:
        assert "nsdelegate" in cgroup2()[1]
        # The shell is process 1 of a node, in whose cgroup namespace it stays.
        node = f"echo $$ >{own}/cgroup.procs; unshare --cgroup \"$0\" check --pre --no-cluster --output=json; exit"
        said = subprocess.run(["unshare", "--pid", "--fork", "--mount-proc", "sh", "-c", node, build / "bin/heddlectl"],
                              capture_output=True, text=True).stdout
    finally:
        set_cgroup2_options(before, tmp_path)
        own.rmdir()
    moved, = (one for one in json.loads(said)["findings"] if one["check"] == "cgroup-move")
    assert moved["verdict"] == "ok", moved
    assert cgroup2()[1] == before


# A load balancer in pods' sockets, as Cilium's: it lets everything pass.
OTHERS = """
__attribute__((section("cgroup/connect4"), used)) int others_connect(void *context) { return 1; }
__attribute__((section("license"), used)) char terms[] = "GPL";
"""


def test_programs_of_others_at_the_hooks_are_named(build, tmp_path):
    """A real one, in a part of this machine's cgroups that is the whole for who looks."""
    root, _ = cgroup2()
    own, pin = pathlib.Path(root) / f"heddle-others-{os.getpid()}", f"/sys/fs/bpf/heddle-others-{os.getpid()}"
    subprocess.run(["clang-19", "-target", "bpf", "-O2", "-x", "c", "-c", "-o", tmp_path / "others.o", "-"],
                   input=OTHERS, text=True, check=True)
    own.mkdir()
    look = f"mount --bind {own} {root} && exec \"$0\" check --pre --no-cluster --output=json"
    enter = f"echo $$ >{own}/cgroup.procs; exec unshare --cgroup --mount sh -c '{look}' \"$0\""
    try:
        subprocess.run(["bpftool", "prog", "load", tmp_path / "others.o", pin], check=True)
        subprocess.run(["bpftool", "cgroup", "attach", own, "connect4", "pinned", pin, "multi"], check=True)
        said = subprocess.run(["sh", "-c", enter, build / "bin/heddlectl"], capture_output=True, text=True).stdout
    finally:
        pathlib.Path(pin).unlink(missing_ok=True)
        own.rmdir()
    named, = (finding for finding in json.loads(said)["findings"] if finding["check"] == "bpf-programs")
    assert (named["verdict"], "others_connect at connect4" in named["sentence"]) == ("warning", True), named
    assert "socketLB.hostNamespaceOnly=true" in named["advice"]
