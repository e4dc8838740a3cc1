"""What lies on a node for the plugin has no credentials in it, and what the agent keeps there is its own."""

import base64
import pathlib
import re
import stat

import pytest

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
        token = node.run(["sh", "-c", f"cat {TOKEN}"]).stdout.strip().encode()
        assert kinds_in(token) == {"token"} and token.count(b".") == 2
        assert not [path for path, content in found.items() if token in content]
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
