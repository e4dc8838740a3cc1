"""What the chart lets its accounts do is what they do: the real controller and the steps of `helm uninstall`, with the
accounts' own tokens, brought to use every right they have, and the API server's audit log."""

import json
import os
import pathlib

import pytest
import yaml
from kube import audit, istio
from kube.caller import Caller, field, token, varint
from kube.cluster import Cluster
from kube.controllers import NAMESPACE
from kube.test_source import definition
from topology.waiting import Timeout, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHART = ROOT / "deploy/helm/heddle"
BINARIES = pathlib.Path(os.environ.get("HEDDLE_BIN", "build/release/bin")).resolve()
REPORT = "heddle.node.v1.CaptureReports/Report"
# Policies that are refused have to get as far as the controller.
VALUES = ("--set=agent.startupTaint.enabled=true", "--set=removal.drainSeconds=1", "--set=validation.enabled=false")
TAINT = {"key": "heddle.io/not-ready", "effect": "NoSchedule"}
SECONDS = 120
GOOD = {"selector": {"matchLabels": {"app": "web"}}, "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}]}
REFUSED = {"action": "DENY", "rules": [{"to": [{"operation": {"ports": ["no port"]}}]}]}


def apply(cluster, *objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


def custom(kind, name, spec):
    group = "heddle.io/v1alpha1" if kind == "InterceptionPolicy" else "security.istio.io/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name, "namespace": "shop"}, "spec": spec}


def pod(name, namespace, account, ip):
    return ({"apiVersion": "v1", "kind": "Pod",
             "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
             "spec": {"nodeName": "n1", "serviceAccountName": account, "automountServiceAccountToken": False,
                      "tolerations": [{"operator": "Exists"}], "containers": [{"name": "c", "image": "none:1"}]}},
            {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                        "conditions": [{"type": "Ready", "status": "True"}]}})


def start(cluster, *described):
    """The pod's uid."""
    made, status = pod(*described)
    apply(cluster, made)
    name, namespace = described[:2]
    cluster.kubectl("patch", "pod", name, f"--namespace={namespace}", "--subresource=status", "--type=merge",
                    f"--patch={json.dumps(status)}")
    return cluster.find("pod", name, namespace)["metadata"]["uid"]


def gateway_kind(kind):
    made = definition(kind, "gateway.networking.k8s.io", "v1")
    made["metadata"] |= {"name": f"{kind.lower()}s.gateway.networking.k8s.io",
                         "annotations": {"api-approved.kubernetes.io": "unapproved, for a test"}}
    made["spec"]["names"]["plural"] = f"{kind.lower()}s"
    return made


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0, audit=NAMESPACE) as made:
        istio.install(made)
        apply(made, *map(gateway_kind, ("Gateway", "HTTPRoute", "GRPCRoute")))
        made.helm("install", "heddle", CHART, f"--namespace={NAMESPACE}", "--create-namespace", *VALUES)
        made.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=50s")
        apply(made, {"apiVersion": "v1", "kind": "Namespace",
                     "metadata": {"name": "shop", "labels": {"istio.io/dataplane-mode": "ambient"}}},
              {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}},
              {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}, "spec": {"taints": [TAINT]}})
        yield made


@pytest.fixture(scope="module")
def objects(cluster):
    """Everything of the chart, hooks too."""
    text = cluster.helm("template", "heddle", CHART, f"--namespace={NAMESPACE}", *VALUES)
    return [one for one in yaml.safe_load_all(text) if one]


def kubeconfig(cluster, account):
    config = yaml.safe_load(cluster.control_plane.kubeconfig("admin").read_text())
    bearer = cluster.kubectl("create", "token", account, f"--namespace={NAMESPACE}").strip()
    config["users"][0]["user"] = {"token": bearer}
    path = cluster.dir / f"{account}.kubeconfig"
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(config))
    return path


def template_of(objects, kind, name):
    found, = (one for one in objects if one["kind"] == kind and one["metadata"]["name"] == name)
    return found["spec"]["template"]["spec"]["containers"][0]


@pytest.fixture(scope="module")
def controller(cluster, objects):
    """With the arguments of its pod."""
    process = cluster.control.spawn([BINARIES / "heddle-controller",
                                     *template_of(objects, "Deployment", "heddle-controller")["args"],
                                     f"--kubeconfig={kubeconfig(cluster, 'heddle-controller')}"], "controller")

    def ready():
        return cluster.control.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15014/healthz/ready"],
                                   check=False).stdout == "ready\n"

    process.wait_ready(ready, "the controller is ready", SECONDS)
    return process


def wait(controller, condition, what, seconds=SECONDS):
    try:
        return wait_until(condition, what, seconds, 0.2)
    except Timeout as timeout:
        raise AssertionError(f"{timeout}; the controller says:\n{controller.output()[-4000:]}") from None


def condition_of(cluster, kind, name, condition="Accepted"):
    found = cluster.find(kind, name, "shop").get("status", {}).get("conditions", [])
    return next(((one["status"], one.get("message", "")) for one in found if one["type"] == condition), None)


def test_it_says_what_became_of_policies(cluster, controller):
    apply(cluster, custom("AuthorizationPolicy", "one", REFUSED), custom("PeerAuthentication", "one", {}),
          custom("InterceptionPolicy", "one", {"excludedOutboundPorts": [3306]}))
    for kind in ("authorizationpolicy", "peerauthentication", "interceptionpolicy"):
        wait(controller, lambda k=kind: condition_of(cluster, k, "one"), "its status is written")
    # What happens a second time is counted in its Event.
    for spec, status in ((GOOD, "True"), (REFUSED, "False"), (GOOD, "True")):
        apply(cluster, custom("AuthorizationPolicy", "one", spec))
        wait(controller, lambda s=status: condition_of(cluster, "authorizationpolicy", "one")[0] == s, "it is written")
    wait(controller, lambda: "series" in cluster.kubectl("get", "events.events.k8s.io", "--namespace=shop",
                                                         "--output=json"), "an Event is counted")


def report(cluster, caller, bearer, *uids):
    """As the agent of n1; the stream ends with it."""
    captured = b"".join(field(2, field(1, uid.encode()) + field(5, b"ebpf")) for uid in uids)
    message = field(1, b"n1") + captured + varint(3 << 3) + varint(1)
    frame = cluster.dir / "report"
    frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    done = cluster.control.run([*caller.command(REPORT, bearer), "--data-binary", f"@{frame}", "-o", "/dev/null"],
                               check=False)
    assert "grpc-status: 0" in done.stdout, done.stdout + done.stderr


def captured(cluster):
    found = cluster.find("configmap", "heddle-captured-n1", NAMESPACE)
    return found and json.loads(found["data"]["report"])["captured"]


def test_it_serves_agents_tells_other_controllers_and_takes_taints_off(cluster, controller):
    start(cluster, "heddle-agent-n1", NAMESPACE, "heddle-agent", "192.0.2.1")
    uid = start(cluster, "web", "shop", "web", "10.9.0.1")
    # Of a node that is gone.
    apply(cluster, {"apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {"name": "heddle-captured-n9", "namespace": NAMESPACE,
                                 "labels": {"heddle.io/capture-report": "true"}},
                    "data": {"node": "n9", "heardBy": "elsewhere", "report": '{"captured": [], "problems": {}}'}})
    caller, bearer = Caller(cluster, None, 15012), token(cluster, "heddle-agent-n1")
    wait(controller, lambda: caller.sign(bearer)[0] == "0", "the agent is known, and gets a certificate")
    report(cluster, caller, bearer, uid)
    wait(controller, lambda: captured(cluster) == [uid], "its report is shared")
    wait(controller, lambda: (condition_of(cluster, "pod", "web", "heddle.io/captured") or [""])[0] == "True",
         "the pod says so")
    wait(controller, lambda: "taints" not in cluster.find("node", "n1")["spec"] or
         TAINT not in cluster.find("node", "n1")["spec"]["taints"], "the start-up taint is taken off")
    report(cluster, caller, bearer)
    wait(controller, lambda: captured(cluster) == [], "nothing is captured any more")


def test_it_replaces_its_root(cluster, controller):
    cluster.kubectl("annotate", "secret", "heddle-ca", "heddle.io/rotate=now", f"--namespace={NAMESPACE}")
    wait(controller, lambda: cluster.find("configmap", "heddle-root", NAMESPACE)["data"]["root-cert.pem"].count(
        "BEGIN") == 2, "both roots are trusted")
    wait(controller, lambda: cluster.find("configmap", "heddle-captured-n9", NAMESPACE) is None,
         "what was told of a node that is gone is deleted")


def uninstall(cluster, objects, step):
    """The Job of the hook, with its account."""
    command = template_of(objects, "Job", f"heddle-removal-{step}")["command"]
    done = cluster.control.run([BINARIES / "heddlectl", *command[1:],
                                f"--kubeconfig={kubeconfig(cluster, 'heddle-removal')}"], check=False, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def left(cluster, kinds, *where):
    return set(cluster.kubectl("get", kinds, "--output=name", *where).split())


def test_it_leaves_in_order_and_leaves_the_roots_alone(cluster, objects, controller):
    cluster.kubectl("delete", "pod", "heddle-agent-n1", f"--namespace={NAMESPACE}", "--force", "--grace-period=0")
    hooks = [one for one in objects if one["kind"] != "Job" and
             "helm.sh/hook" in one["metadata"].get("annotations", {})]
    apply(cluster, *hooks)
    # No node has to confirm anything: each phase begins when the one before can be read in the ConfigMap.
    uninstall(cluster, objects, "prepare")
    assert controller.stop() == 0
    cluster.helm("uninstall", "heddle", "--no-hooks", f"--namespace={NAMESPACE}")
    # A node whose agent was never ready.
    apply(cluster, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n2"},
                    "spec": {"taints": [TAINT, {**TAINT, "key": "example.org/other"}]}})
    assert left(cluster, "leases,configmaps", f"--namespace={NAMESPACE}") == {
        "lease.coordination.k8s.io/heddle-controller", "configmap/heddle-captured-n1", "configmap/heddle-removal",
        "configmap/heddle-root"}
    said = uninstall(cluster, objects, "finish")
    assert "node n2: the taint heddle.io/not-ready is taken off" in said
    keys = {taint["key"] for taint in cluster.find("node", "n2")["spec"]["taints"]}
    assert keys & {TAINT["key"], "example.org/other"} == {"example.org/other"}
    cluster.kubectl("delete", "--filename=-", input=yaml.safe_dump_all(hooks))
    kinds = ",".join(name for name in cluster.kubectl("api-resources", "--verbs=list", "--namespaced",
                                                      "--output=name").split() if "events" not in name)
    assert left(cluster, kinds, f"--namespace={NAMESPACE}") == {"configmap/heddle-root", "secret/heddle-ca"}
    kinds = ",".join(cluster.kubectl("api-resources", "--verbs=list", "--namespaced=false", "--output=name").split())
    assert {name for name in left(cluster, kinds) if "heddle" in name} == {
        f"namespace/{NAMESPACE}", "customresourcedefinition.apiextensions.k8s.io/interceptionpolicies.heddle.io",
        "apiservice.apiregistration.k8s.io/v1alpha1.heddle.io"}  # The API server's own, of the kind.


def test_everything_that_was_done_was_allowed_and_everything_allowed_was_done(cluster, objects, controller):
    assert cluster.audit.refused() == []
    assert cluster.audit.accounts() == {"heddle-controller", "heddle-removal"}  # An agent's asks nothing.
    used = cluster.audit.uses()
    for account in ("heddle-controller", "heddle-removal"):
        of_account = {use for use in used if use.account == account}
        granted = audit.grants(objects, account)
        assert [use for use in of_account if not audit.is_granted(use, granted)] == []
        assert [grant for grant in granted if not audit.is_used(grant, of_account, NAMESPACE)] == []
    assert audit.grants(objects, "heddle-agent") == set()


def test_a_right_that_nobody_needs_would_be_found(objects):
    granted = audit.grants(objects, "heddle-controller")
    sample = next(one for one in granted if one.resource == "leases" and one.verb == "update")
    assert sample == audit.Grant("heddle-controller", NAMESPACE, "update", "coordination.k8s.io", "leases",
                                 "heddle-controller")
    use = audit.Use("heddle-controller", "update", "coordination.k8s.io", "leases", NAMESPACE, "heddle-controller")
    assert audit.is_used(sample, {use}, NAMESPACE) and audit.is_granted(use, granted)
    for other in (use._replace(verb="delete"), use._replace(name="another"), use._replace(namespace="shop"),
                  use._replace(resource="leases/status"), use._replace(group="")):
        assert not audit.is_used(sample, {other}, NAMESPACE) and not audit.is_granted(other, granted), other
    # In the whole cluster, and needed at home alone.
    wide = sample._replace(namespace="")
    assert not audit.is_used(wide, {use}, NAMESPACE)
    assert audit.is_used(wide, {use._replace(namespace="shop")}, NAMESPACE)
