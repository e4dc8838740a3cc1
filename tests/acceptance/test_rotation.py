"""A root of the mesh follows another while pods of both nodes talk: no request fails, in any phase, whichever agent
renews first. Only the clock is helped: the rotation is said to have begun earlier, and agents are told to renew."""

import base64
import json
import time

import pytest
from acceptance.release import NAMESPACE
from acceptance.traffic import Connection, Requests
from acceptance.witness import HBONE, LinkWitness
from kube import metrics
from topology.waiting import wait_until

SECONDS = 120
HOUR = 3600
SECRET, BUNDLE, FILE = "heddle-ca", "heddle-root", "root-cert.pem"
MOUNTED = f"/run/secrets/heddle/{FILE}"  # /var/run is a link in the image.


class Root:
    """As agents and controllers have it."""

    def __init__(self, cluster, release):
        self._cluster, self._release = cluster, release

    def secret(self):
        return self._cluster.find("secret", SECRET, NAMESPACE)

    def stored(self, name):
        return base64.b64decode(self.secret()["data"][name]).decode()

    def bundle(self):
        return self._cluster.find("configmap", BUNDLE, NAMESPACE)["data"][FILE]

    def annotate(self, **annotations):
        patch = {"metadata": {"annotations": {f"heddle.io/{key}": value for key, value in annotations.items()}}}
        self._cluster.kubectl("patch", "secret", SECRET, f"--namespace={NAMESPACE}", "--type=merge",
                              f"--patch={json.dumps(patch)}")

    def began(self, hours):
        """So many hours ago."""
        then = time.gmtime(time.time() - hours * HOUR)
        self.annotate(**{"rotation-began": time.strftime("%Y-%m-%dT%H:%M:%SZ", then)})

    def wait_phase(self, phase):
        """For every controller."""
        def phase_of(controller):
            address = f"http://{controller['status']['podIP']}:15014/metrics"
            shown = self._cluster.control.run(["curl", "-sS", "-m", "5", address], check=False).stdout
            return metrics.total(shown, "heddle_controller_root_rotation_phase")

        wait_until(lambda: {phase_of(each) for each in self._release.pods("heddle-controller")} == {phase},
                   f"controllers are in phase {phase}", SECONDS, 0.3)

    def wait_mounted(self):
        """Agents verify the controller by it; a kubelet looks after a minute, or when the pod changes."""
        bundle = self.bundle()
        for node in self._cluster.nodes:
            self._cluster.kubectl("annotate", "pod", self._release.agent(node), f"--namespace={NAMESPACE}",
                                  f"heddle.test/look={time.time()}", "--overwrite")
        for node in self._cluster.nodes:
            pid, = self._release.processes(node, "heddle-agent")
            wait_until(lambda: node.run(["cat", f"/proc/{pid}/root{MOUNTED}"]).stdout == bundle,
                       f"the bundle has come to {node.name}", SECONDS, 0.5)


def certificates(node):
    """{identity: (the leaf, the roots that came with it)} of a node's agent."""
    shown = json.loads(node.run(["curl", "-fsS", "-m", "5", "http://127.0.0.1:15000/debug/certificates"]).stdout)
    return {each["identity"]: (pem(each["certChain"][0]), [pem(root) for root in each["rootCerts"]])
            for each in shown if each["certChain"]}


def pem(shown):
    return base64.b64decode(shown["pem"]).decode().strip()


def is_signed_by(cluster, leaf, root):
    files = cluster.dir / "leaf.pem", cluster.dir / "signer.pem"
    for file, text in zip(files, (leaf, root)):
        file.write_text(text)
    return cluster.control.run(["openssl", "verify", "-CAfile", files[1], files[0]], check=False).returncode == 0


def serial(cluster, root):
    file = cluster.dir / "serial.pem"
    file.write_text(root)
    said = cluster.control.run(["openssl", "x509", "-noout", "-serial", "-in", file]).stdout
    return said.strip().partition("=")[2].lower()


def renew(release, *nodes):
    """Every certificate of these nodes, as at half of its life."""
    before = {node.name: certificates(node) for node in nodes}
    for node in nodes:
        pid, = release.processes(node, "heddle-agent")
        node.run(["kill", "-HUP", pid])
    for node in nodes:
        def is_renewed():
            now = certificates(node)
            return all(now[identity][0] != leaf for identity, (leaf, _) in before[node.name].items())

        wait_until(is_renewed, f"the certificates of {node.name} are renewed", SECONDS, 0.3)


@pytest.fixture
def traffic(shop):
    """Requests from each node to the other, and a connection."""
    clients = [each["metadata"]["name"] for each in shop.pods("client")]
    servers = [each["status"]["podIP"] for each in reversed(shop.pods("web"))]
    requests = [Requests(shop, client, server, "rotation") for client, server in zip(clients, servers)]
    connection = Connection(shop, clients[0], servers[0], "rotation")

    def go_on():
        for each in requests:
            each.go_on()
            assert each.counts()[1] == 0
        assert connection.is_alive()

    yield go_on
    connection.stop()
    assert [each.stop()[1] for each in requests] == [0, 0]


def test_a_root_follows_another_under_traffic(cluster, release, shop, traffic):
    root, (first, second) = Root(cluster, release), cluster.nodes
    old = root.bundle().strip()

    def hold(node, signer, *trusted):
        """Every certificate of the node: signed by whom, with which roots, the signer's first."""
        for leaf, roots in certificates(node).values():
            assert is_signed_by(cluster, leaf, signer) and roots == list(trusted)

    hold(first, old, old)
    root.annotate(rotate="now")
    root.wait_phase(1)
    new = root.stored("next-root-cert.pem").strip()
    root.wait_mounted()
    renew(release, first)
    traffic()  # One node trusts both, one the old one.
    renew(release, second)
    for node in cluster.nodes:
        hold(node, old, old, new)
    traffic()

    root.began(26)
    root.wait_phase(2)
    with LinkWitness(cluster, first) as link:
        renew(release, second)
        hold(second, new, new, old)
        traffic()  # One node's certificates are the new one's, the other's are not.
        renew(release, first)
        hold(first, new, new, old)
        traffic()
    # By tunnels with these certificates, not by those of before.
    pods = {each["status"]["podIP"] for each in shop.pods()}
    assert {syn.port for syn in link.between(pods)} == {HBONE}

    root.began(51)
    wait_until(lambda: root.bundle().strip() == new, "the old one is trusted no longer", SECONDS, 0.3)
    root.wait_phase(0)
    assert set(root.secret()["data"]) == {"root-cert.pem", "root-key.pem"}
    root.wait_mounted()
    renew(release, first)
    traffic()  # One node trusts both, one the new one.
    renew(release, second)
    traffic()
    for node in cluster.nodes:
        hold(node, new, new)
        table = release.heddlectl(node, "certificates").splitlines()
        assert table[0].split()[-1] == "ROOTS"
        assert {line.split()[-1] for line in table[1:]} == {serial(cluster, new)[:8]}
