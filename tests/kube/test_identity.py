"""Who may call the controller and what it signs with, on a real API server: service-account tokens and the roots."""

import base64
import json
import pathlib
import re
import time

import pytest
import yaml
from kube import metrics
from kube.cluster import Cluster
from kube.test_source import Controller, apply, definition
from topology import wait_until

NAMESPACE = "heddle-system"
SIGN = "istio.v1.auth.IstioCertificateService/CreateCertificate"
XDS = "envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources"
AUDIENCE = "heddle-controller"
WEB = "spiffe://cluster.local/ns/shop/sa/web"
DB = "spiffe://cluster.local/ns/shop/sa/db"
UNAUTHENTICATED, DENIED, OK = "16", "7", "0"
SECONDS = 30
HOUR = 3600


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


def token(cluster, agent, audience=AUDIENCE, namespace=NAMESPACE, service_account="heddle-agent"):
    """As the kubelet gets it for a pod; without a pod when `agent` is empty."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={agent}") if agent else ()
    audiences = (f"--audience={audience}",) if audience else ()
    return cluster.kubectl("create", "token", service_account, f"--namespace={namespace}", *audiences, *bound).strip()


def unpadded(raw):
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def expired(cluster, bearer):
    """The same token as it would have been made two hours ago, signed with the cluster's key."""
    header, claims, _ = bearer.split(".")
    said = json.loads(base64.urlsafe_b64decode(claims + "=="))
    for claim in ("iat", "nbf", "exp"):
        said[claim] -= 2 * HOUR
    assert said["exp"] < time.time()
    signed = header.encode() + b"." + unpadded(json.dumps(said).encode())
    data, signature = cluster.dir / "expired", cluster.dir / "expired.signature"
    data.write_bytes(signed)
    cluster.control.run(["openssl", "dgst", "-sha256", "-sign", cluster.control_plane.account_key, "-out", signature,
                         data])
    return (signed + b"." + unpadded(signature.read_bytes())).decode()


def varint(number):
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def field(number, value):
    return varint(number << 3 | 2) + varint(len(value)) + value


class Caller:
    """Calls a controller as an agent does, by curl: gRPC is HTTP/2 with a frame and trailers."""

    def __init__(self, cluster, controller, port):
        self._cluster, self._port, self.controller = cluster, port, controller
        key, request = cluster.dir / "pod.key", cluster.dir / "pod.csr"
        cluster.control.run(["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                             "-nodes", "-keyout", key, "-out", request, "-subj", "/", "-addext",
                             f"subjectAltName=critical,URI:{WEB}"])
        self._csr = request.read_bytes()

    def roots(self):
        path = self._cluster.dir / f"roots-{self._port}.pem"
        path.write_text(self._cluster.find("configmap", "heddle-root", NAMESPACE)["data"]["root-cert.pem"])
        return path

    def command(self, method, bearer, roots=None):
        headers = ["content-type: application/grpc", "te: trailers"]
        headers += [f"authorization: Bearer {bearer}"] if bearer is not None else []
        return ["curl", "-sS", "--http2", "-m", "60", "--cacert", roots or self.roots(), "--resolve",
                f"heddle-controller:{self._port}:127.0.0.1", *(f"-H{header}" for header in headers), "-D", "-",
                f"https://heddle-controller:{self._port}/{method}"]

    def sign(self, bearer, identity=WEB, roots=None):
        """(grpc-status, grpc-message, the answer's bytes)"""
        metadata = field(1, field(1, b"ImpersonatedIdentity") + field(2, field(3, identity.encode())))
        message = field(1, self._csr) + field(4, metadata)
        frame, answer = self._cluster.dir / "frame", self._cluster.dir / "answer"
        frame.write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
        answer.write_bytes(b"")
        # Who is refused is reset after the trailers, because nobody reads the rest: an error for curl, not for gRPC.
        done = self._cluster.control.run(
            [*self.command(SIGN, bearer, roots), "--data-binary", f"@{frame}", "-o", answer], check=False)
        found = dict(re.findall(r"^(grpc-\w+): (.*?)\r?$", done.stdout, re.MULTILINE))
        assert "grpc-status" in found, done.stderr
        return found["grpc-status"], found.get("grpc-message", ""), answer.read_bytes()

    def refused(self, reason):
        line = f'heddle_controller_calls_unauthenticated_total{{reason="{reason}"}} '
        return next(int(text[len(line):]) for text in self.controller.get("/metrics").splitlines()
                    if text.startswith(line))

    def metric(self, name):
        return metrics.total(self.controller.get("/metrics"), name)

    def phase(self):
        return re.search(r"^heddle_controller_root_rotation_phase (\d)", self.controller.get("/metrics"),
                         re.MULTILINE)[1]


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
        assert f"reason={reason}" in caller.controller.process.output()
    # The token is good; the identity is another node's, or nobody's.
    refused = caller.metric("heddle_controller_certificates_refused_total")
    for identity in (DB, "spiffe://cluster.local/ns/shop/sa/nobody"):
        status, message, _ = caller.sign(token(cluster, "agent-1"), identity)
        assert status == DENIED and "no live pod with the identity" in message
    assert caller.metric("heddle_controller_certificates_refused_total") == refused + 2
    assert caller.sign(token(cluster, "agent-2"), DB)[0] == OK
    assert "ca.refused" in caller.controller.process.output()


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
