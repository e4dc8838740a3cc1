"""Who may call the controller and what it signs with, on a real API server: service-account tokens and the roots."""

import base64
import json
import pathlib
import time

import pytest
import yaml
from kube.caller import DENIED, HOUR, NAMESPACE, OK, UNAUTHENTICATED, Caller, expired, token
from kube.cluster import Cluster
from kube.test_source import Controller, apply, definition
from topology import wait_until

XDS = "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
WEB = "spiffe://cluster.local/ns/shop/sa/web"
DB = "spiffe://cluster.local/ns/shop/sa/db"
SECONDS = 30


def account(name, namespace):
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": namespace}}


def pod(name, namespace, node, service_account):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": namespace},
            "spec": {"nodeName": node, "serviceAccountName": service_account, "automountServiceAccountToken": False,
                     "containers": [{"name": "c", "image": "none:1"}]}}


OBJECTS = [
    *({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in (NAMESPACE, "shop")),
    *({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in ("n1", "n2")),
    account("heddle-agent", NAMESPACE), account("other", NAMESPACE), account("heddle-agent", "shop"),
    account("web", "shop"), account("db", "shop"),
    pod("agent-1", NAMESPACE, "n1", "heddle-agent"), pod("agent-2", NAMESPACE, "n2", "heddle-agent"),
    pod("other", NAMESPACE, "n1", "other"), pod("impostor", "shop", "n1", "heddle-agent"),
    pod("web", "shop", "n1", "web"), pod("db", "shop", "n2", "db"),
]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        apply(made, [definition("InterceptionPolicy", "heddle.io", "v1alpha1"), *OBJECTS])
        yield made


@pytest.fixture(scope="module")
def callers(cluster):
    """Two controllers that start at once, neither with anything of its own."""
    config = cluster.control_plane.kubeconfig("admin")
    started = [Controller(cluster, name, port, "--source", "kubernetes", "--instance", name, "--kubeconfig", config)
               for name, port in (("first", 20000), ("second", 20010))]
    for controller in started:
        controller.wait_ready()
    wait_until(lambda: cluster.find("configmap", "heddle-root", NAMESPACE), "agents are told the root", SECONDS)
    return [Caller(cluster, controller, port) for controller, port in zip(started, (20000, 20010))]


def secret_of(cluster):
    return cluster.find("secret", "heddle-ca", NAMESPACE)


def certificates_in(pem):
    return pem.count("BEGIN CERTIFICATE")


def bundle(cluster):
    return cluster.find("configmap", "heddle-root", NAMESPACE)["data"]["root-cert.pem"]


def test_two_controllers_that_start_at_once_have_one_root(cluster, callers):
    pem = base64.b64decode(secret_of(cluster)["data"]["root-cert.pem"]).decode()
    assert certificates_in(pem) == 1 and bundle(cluster) == pem
    made = [caller for caller in callers if "root.secret.made" in caller.controller.process.output()]
    assert len(made) == 1
    bearer = token(cluster, "agent-1")
    for caller in callers:
        status, message, answer = caller.sign(bearer)
        assert (status, message) == (OK, "") and pem.strip().encode() in answer


def test_who_is_no_agent_of_the_node_is_refused_logged_and_counted(cluster, callers):
    caller = callers[0]
    cases = [
        ("token_missing", UNAUTHENTICATED, None, WEB, "no 'authorization"),
        ("token_invalid", UNAUTHENTICATED, "nonsense", WEB, "no token of a service account"),
        ("token_invalid", UNAUTHENTICATED, token(cluster, "agent-1")[:-8] + "AAAAAAAA", WEB, "does not take this"),
        ("token_invalid", UNAUTHENTICATED, expired(cluster, token(cluster, "agent-1")), WEB, "has expired at"),
        ("audience", UNAUTHENTICATED, token(cluster, "agent-1", ""), WEB, "not for heddle-controller"),
        ("audience", UNAUTHENTICATED, token(cluster, "agent-1", "vault"), WEB, "not for heddle-controller"),
        ("service_account", DENIED, token(cluster, "other", service_account="other"), WEB, "heddle-system:other"),
        ("service_account", DENIED, token(cluster, "impostor", namespace="shop"), WEB, "shop:heddle-agent"),
        ("pod_unbound", UNAUTHENTICATED, token(cluster, ""), WEB, "not made for a pod"),
    ]
    for reason, code, bearer, identity, sentence in cases:
        before = caller.refused(reason)
        time.sleep(1.1)  # One line a second is logged.
        status, message, answer = caller.sign(bearer, identity)
        assert (status, answer) == (code, b"") and sentence in message.replace("%27", "'"), (reason, message)
        assert caller.refused(reason) == before + 1
        wait_until(lambda: f"reason={reason}" in caller.controller.process.output(), f"{reason} is logged", SECONDS)
    # The token is good; the identity is another node's, or nobody's.
    refused = caller.metric("heddle_controller_certificates_refused_total")
    for identity in (DB, "spiffe://cluster.local/ns/shop/sa/nobody"):
        status, message, _ = caller.sign(token(cluster, "agent-1"), identity)
        assert status == DENIED and "no live pod with the identity" in message
    assert caller.metric("heddle_controller_certificates_refused_total") == refused + 2
    assert caller.sign(token(cluster, "agent-2"), DB)[0] == OK
    wait_until(lambda: "ca.refused" in caller.controller.process.output(), "it is logged", SECONDS)


def test_the_token_of_a_deleted_pod_is_worth_nothing_and_its_streams_end(cluster, callers):
    caller = callers[0]
    apply(cluster, [pod("agent-3", NAMESPACE, "n1", "heddle-agent")])
    bearer = token(cluster, "agent-3")
    wait_until(lambda: caller.sign(bearer)[0] == OK, "the pod is known", SECONDS)
    call = [*map(str, caller.command(XDS, bearer)), "-XPOST", "-T", "-"]
    stream = cluster.control.spawn(["sh", "-c", 'sleep 60 | "$@"', "sh", *call], "stream")
    wait_until(lambda: "xds.connected" in caller.controller.process.output(), "the stream is open", SECONDS)
    gone = caller.refused("pod_gone")
    cluster.kubectl("delete", "pod", "agent-3", f"--namespace={NAMESPACE}", "--force", "--grace-period=0")
    wait_until(lambda: caller.sign(bearer)[0] == UNAUTHENTICATED, "the token is refused", SECONDS)
    assert "is not there any more" in caller.sign(bearer)[1]
    wait_until(lambda: "xds.disconnected" in caller.controller.process.output(), "the stream ends", SECONDS)
    assert caller.refused("pod_gone") >= gone + 3
    stream.kill()


def test_known_agents_are_served_while_the_api_server_is_away_and_others_are_not(cluster, callers):
    caller = callers[0]
    known, unknown = token(cluster, "agent-1"), token(cluster, "agent-2")
    assert caller.sign(known)[0] == OK
    roots = caller.roots()
    cluster.control_plane.api_server.kill()
    try:
        assert caller.sign(known, roots=roots)[0] == OK
        status, message, _ = caller.sign(unknown, DB, roots=roots)
        assert status == "14" and "could not be checked" in message
    finally:
        cluster.control_plane.start_api_server()
    wait_until(lambda: caller.sign(unknown, DB, roots=roots)[0] == OK, "it is back", SECONDS)


def test_what_somebody_writes_into_the_bundle_is_put_right(cluster, callers):
    pem = bundle(cluster)
    cluster.kubectl("patch", "configmap", "heddle-root", f"--namespace={NAMESPACE}", "--type=merge",
                    f"--patch={json.dumps({'data': {'root-cert.pem': 'oops', 'other': 'stays'}})}")
    wait_until(lambda: bundle(cluster) == pem, "it is put right", SECONDS)
    assert cluster.find("configmap", "heddle-root", NAMESPACE)["data"]["other"] == "stays"
    cluster.kubectl("delete", "configmap", "heddle-root", f"--namespace={NAMESPACE}")
    wait_until(lambda: cluster.find("configmap", "heddle-root", NAMESPACE) is not None, "it is made again", SECONDS)


def test_a_secret_that_is_of_no_use_or_gone_leaves_the_last_good_one(cluster, callers):
    good = secret_of(cluster)["data"]
    patch_secret(cluster, {"data": {"root-key.pem": base64.b64encode(b"oops").decode()}})
    for caller in callers:
        caller.controller.wait_for(lambda c=caller: "root.trouble" in c.controller.process.output(), "it is said")
        assert caller.sign(token(cluster, "agent-1"))[0] == OK
    patch_secret(cluster, {"data": good})
    cluster.kubectl("delete", "secret", "heddle-ca", f"--namespace={NAMESPACE}")
    wait_until(lambda: secret_of(cluster) is not None, "it is made again", SECONDS)
    assert secret_of(cluster)["data"] == good


def patch_secret(cluster, patch):
    cluster.kubectl("patch", "secret", "heddle-ca", f"--namespace={NAMESPACE}", "--type=merge",
                    f"--patch={json.dumps(patch)}")


def rotation_began(cluster, hours):
    """So many hours ago: the phases are a matter of the clock."""
    began = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - hours * HOUR))
    patch_secret(cluster, {"metadata": {"annotations": {"heddle.io/rotation-began": began}}})


def test_a_root_follows_another_and_at_no_time_is_a_certificate_refused(cluster, callers):
    bearer = token(cluster, "agent-1")
    old = cluster.dir / "old.pem"
    old.write_text(bundle(cluster))
    cluster.kubectl("annotate", "secret", "heddle-ca", "heddle.io/rotate=now", f"--namespace={NAMESPACE}")
    wait_until(lambda: certificates_in(bundle(cluster)) == 2, "both roots are trusted", SECONDS)
    annotations = secret_of(cluster)["metadata"]["annotations"]
    assert "heddle.io/rotate" not in annotations and annotations["heddle.io/rotation-step"] == str(25 * HOUR)
    new = cluster.dir / "new.pem"
    new.write_bytes(base64.b64decode(secret_of(cluster)["data"]["next-root-cert.pem"]))
    for caller in callers:
        caller.controller.wait_for(lambda c=caller: c.phase() == "1", "it is distributed")
        assert caller.sign(bearer, roots=old)[0] == OK
        assert certificates_in(caller.sign(bearer)[2].decode("latin-1")) == 3
    rotation_began(cluster, 26)
    for caller in callers:
        caller.controller.wait_for(lambda c=caller: c.phase() == "2", "the next one signs")
        # The controller's own certificate is of the new root at once; the bundle has both.
        assert caller.sign(bearer, roots=new)[0] == OK and caller.sign(bearer)[0] == OK
    assert certificates_in(bundle(cluster)) == 2
    rotation_began(cluster, 51)
    wait_until(lambda: bundle(cluster) == new.read_text(), "the old one is trusted no longer", SECONDS)
    wait_until(lambda: set(secret_of(cluster)["data"]) == {"root-cert.pem", "root-key.pem"}, "it is over", SECONDS)
    assert "annotations" not in secret_of(cluster)["metadata"]
    for caller in callers:
        caller.controller.wait_for(lambda c=caller: c.phase() == "0", "it is over for both")
        assert caller.sign(bearer, roots=new)[0] == OK


def test_a_controller_that_may_not_read_the_secret_is_not_ready_and_says_why(cluster):
    """With every right but that one."""
    read = {"apiGroups": ["*"], "verbs": ["list", "watch"], "resources": [
        "pods", "nodes", "services", "namespaces", "endpointslices", "configmaps", "interceptionpolicies"]}
    apply(cluster, [account("reader", NAMESPACE), {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole",
                                                   "metadata": {"name": "reader"}, "rules": [read]}])
    cluster.kubectl("create", "clusterrolebinding", "reader", "--clusterrole=reader",
                    f"--serviceaccount={NAMESPACE}:reader")
    config = yaml.safe_load(pathlib.Path(cluster.control_plane.kubeconfig("admin")).read_text())
    config["users"][0]["user"] = {"token": token(cluster, "", "", service_account="reader")}
    path = cluster.dir / "reader.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    made = Controller(cluster, "reader", 20020, "--source", "kubernetes", "--kubeconfig", path)
    made.process.wait_ready(lambda: "root.trouble" in made.process.output(), "it is said", SECONDS)
    said = made.process.output()
    assert "the Secret heddle-ca has not been read yet: " in said and "403 Forbidden" in said
    wait_until(lambda: "403 Forbidden" in made.get("/healthz/ready"), "it is why it is not ready", SECONDS)
    assert made.process.stop() == 0


def test_no_new_root_is_forced_on_agents_when_the_secret_is_lost(cluster, callers):
    """Last: the controllers before it end. A backup is used at once."""
    for caller in callers:
        assert caller.controller.process.stop() == 0
    backup, trusted = secret_of(cluster), bundle(cluster)
    cluster.kubectl("delete", "secret", "heddle-ca", f"--namespace={NAMESPACE}")
    third = Controller(cluster, "third", 20020, "--source", "kubernetes", "--instance", "third", "--kubeconfig",
                       cluster.control_plane.kubeconfig("admin"))
    third.wait_for(lambda: "the Secret heddle-ca is gone" in third.process.output(), "it is said")
    assert not third.is_ready() and secret_of(cluster) is None and bundle(cluster) == trusted
    kept = {"metadata": {"name": "heddle-ca", "namespace": NAMESPACE}}
    apply(cluster, [{**backup, **kept}])
    third.wait_ready()
    assert Caller(cluster, third, 20020).sign(token(cluster, "agent-1"))[0] == OK and bundle(cluster) == trusted
