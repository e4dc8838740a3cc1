"""What lies on a node for the plugin has no credentials in it, what the agent keeps there is its own, and its token
makes a node itself and no other."""

import base64
import pathlib
import re
import stat

import pytest
from acceptance.namespace import HTTPD, Namespace, pod, pod_spec
from acceptance.release import NAMESPACE
from kube.caller import DENIED, IDENTITY, OK, UNAUTHENTICATED, Caller, expired, token
from topology.waiting import wait_until

FOLDERS = ("/etc/cni/net.d", "/opt/cni/bin", "/run/heddle", "/var/lib/heddle")
# Of workloads, for an agent that starts again; on tmpfs (docs/reference/heddle-agent.md).
KEYS = "/run/heddle/certificates"
TOKEN = "/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/credentials/token"  # Where the kubelet mounts it.
# In a file that is a program, too: none of these is a string that programs have.
SECRETS = {
    "token": re.compile(rb"eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{20,}"),
    "private key": re.compile(rb"BEGIN [A-Z ]*PRIVATE KEY-----(\r?\n|\\n)[\w+/]{20,}"),
    "kubeconfig": re.compile(rb"\bclient-key(-data)?[\"']?:|^[\"' {]*users[\"']?:\s*[-\[]", re.M),
}


def kinds_in(content):
    return {kind for kind, pattern in SECRETS.items() if pattern.search(content)}


def contents(node):
    """{path on the node: what is in it} of the files in these folders."""
    root = pathlib.Path(f"/proc/{node.init.pid}/root")
    return {str(path)[len(str(root)):]: path.read_bytes()
            for folder in FOLDERS for path in pathlib.Path(f"{root}{folder}").rglob("*") if path.is_file()}


def token_on(node):
    """The one that the kubelet has mounted for the node's agent."""
    return node.run(["sh", "-c", f"cat {TOKEN}"]).stdout.strip()


@pytest.mark.parametrize(("kind", "text"), [
    ("token", 'token: "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJodHRwczovL2t1YmVybmV0ZXMifQ.c2lnbmF0dXJlc2lnbmF0dXJl"'),
    ("private key", "-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIIrYSSNQFaA2Hwf1duRSxKtLYX5CB04fSeQ6tF1aY\n"),
    ("private key", '{"key":"-----BEGIN PRIVATE KEY-----\\nMIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQ\\n"}'),
    ("kubeconfig", "apiVersion: v1\nkind: Config\nusers:\n- name: heddle-cni\n  user: {token: secret}\n"),
    ("kubeconfig", '{"kind": "Config",\n "users": [{"name": "heddle-cni"}]}'),
    ("kubeconfig", "    client-key: /etc/cni/net.d/key.pem\n"),
])
def test_each_kind_of_credentials_would_be_found(kind, text):
    assert kinds_in(b"\0\0before\n" + text.encode()) == {kind}


def test_nothing_on_a_node_is_a_credential_but_the_keys_of_its_own_workloads(cluster, release, shop):
    for node in cluster.nodes:
        found = contents(node)
        assert any("heddle-cni" in path for path in found) and "/run/heddle/enroll.json" in found
        kinds = {path: kinds_in(content) for path, content in found.items() if kinds_in(content)}
        keys = {path for path in found if path.startswith(KEYS)}
        assert kinds == {path: {"private key"} for path in keys} and len(keys) >= 3
        mounted = token_on(node).encode()
        assert kinds_in(mounted) == {"token"} and mounted.count(b".") == 2
        assert not [path for path, content in found.items() if mounted in content]
        # Nor are they there in another form.
        secrets = [scalar(found[path]) for path in keys]
        assert not [path for path, content in found.items() if any(secret in content for secret in secrets)]


def scalar(content):
    """The secret number of a key of P-256, PKCS #8 in PEM: RFC 5915 has it as an octet string of 32."""
    body = re.search(rb"PRIVATE KEY-----\\n(.*?)\\n-----END", content)[1].replace(rb"\n", b"")
    number = base64.b64decode(body).partition(b"\x04\x20")[2][:32]
    assert len(number) == 32
    return number


def test_what_the_agent_keeps_is_for_root_alone_and_its_keys_are_in_memory(cluster, release, shop):
    for node in cluster.nodes:
        root = f"/proc/{node.init.pid}/root"
        for folder in ("/run/heddle", "/var/lib/heddle"):
            for path in pathlib.Path(root + folder).rglob("*"):
                status = path.lstat()
                wanted = 0o700 if stat.S_ISDIR(status.st_mode) else 0o600
                assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (wanted, 0, 0), path
            assert not pathlib.Path(root + folder).stat().st_mode & 0o022
        assert node.run(["stat", "--file-system", "--format=%T", KEYS]).stdout.strip() == "tmpfs"


class Controllers:
    """All of them, for a Caller."""

    def __init__(self, release):
        self._release = release

    def get(self, path):
        return self._release.controllers_page(path)


@pytest.fixture(scope="module")
def callers(cluster, release):
    """On node1, of the Service as agents call it, and of each controller behind it."""
    service = cluster.find("service", "heddle-controller", NAMESPACE)["spec"]["clusterIP"]
    addresses = [service, *(each["status"]["podIP"] for each in release.pods("heddle-controller"))]
    return [Caller(cluster, Controllers(release), 15012, address, cluster.nodes[0]) for address in addresses]


@pytest.fixture
def elsewhere(release, watch):
    """The identity of a namespace with a pod on node2, and none on node1."""
    made = Namespace(release, "elsewhere", watch=watch)
    made.apply(pod("only", pod_spec([HTTPD], node="node2")))
    made.ready("only")
    yield "spiffe://cluster.local/ns/elsewhere/sa/default"
    made.remove(wait=False)


def assert_refused(release, caller, bearer, identity, wanted):
    """With that code and sentence, whenever it asks; counted each time, and logged."""
    (code, sentence), count, line = wanted
    calls, counted, logged = 0, count(), release.controllers_log().count(line)

    def is_logged():  # One line a second of those that are no agents is.
        nonlocal calls
        calls += 1
        status, message, answer = caller.sign(bearer, identity)
        assert (status, answer) == (code, b"") and sentence in message, message
        return release.controllers_log().count(line) > logged

    wait_until(is_logged, f"the log says: {line}", 30, 0.5)
    assert count() >= counted + calls


def test_a_node_that_asks_for_the_identity_of_a_pod_of_another_node_is_refused_logged_and_counted(
        cluster, release, shop, callers, elsewhere):
    one, two = map(token_on, cluster.nodes)
    for caller in callers:
        wait_until(lambda c=caller: c.sign(two, elsewhere)[0] == OK, "the controller knows the pod", 30, 0.5)
        assert caller.sign(one, IDENTITY)[0] == OK  # Of the shop's server, which is on both nodes.
        assert_refused(release, caller, one, elsewhere, (
            (DENIED, f"no live pod with the identity {elsewhere} is bound to node node1"),
            lambda c=caller: c.metric("heddle_controller_certificates_refused_total"),
            f"node=node1 identity={elsewhere} "))


def test_who_is_no_agent_is_refused_logged_and_counted(cluster, release, shop, callers):
    service, client = callers[0], shop.pods("client")[0]
    one, own = token_on(cluster.nodes[0]), release.agent(cluster.nodes[0])
    assert client["spec"]["nodeName"] == "node1"
    of_client = token(cluster, client["metadata"]["name"], namespace="shop", service_account="client")
    for reason, code, bearer, sentence in (
            ("service_account", DENIED, of_client, "shop:client"),
            ("audience", UNAUTHENTICATED, token(cluster, own, "vault"), "not for heddle-controller"),
            ("token_invalid", UNAUTHENTICATED, expired(cluster, one), "has expired at")):
        assert_refused(release, service, bearer, IDENTITY, (
            (code, sentence), lambda r=reason: service.refused(r), f"reason={reason} "))
