"""InterceptionPolicy and the annotations of Istio that mean the same, on the wire between two nodes: what they name
passes by the mesh, and nothing else does. The session's Watch does not look at these pods."""

import pytest
from acceptance.namespace import ECHO, ECHOD, HTTP, HTTPD, Namespace, pod, pod_spec
from acceptance.witness import HBONE, LinkWitness
from topology.waiting import wait_until

SECONDS = 30
STRICT = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "server"},
          "spec": {"selector": {"matchLabels": {"app": "server"}}, "mtls": {"mode": "STRICT"}}}
ANNOTATION = "traffic.sidecar.istio.io/exclude"


def policy(name, app=None, **spec):
    selector = {"selector": {"matchLabels": {"app": app}}} if app else {}
    return {"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy", "metadata": {"name": name},
            "spec": {**selector, **spec}}


class Apart:
    """A client on node1, and on node2 a STRICT server and `peer`, which takes plaintext as well."""

    def __init__(self, cluster, release):
        self.cluster = cluster
        self.namespace = Namespace(release, "apart")
        self.namespace.apply(STRICT, pod("client", pod_spec([HTTPD], node="node1")),
                             *(pod(name, pod_spec([HTTPD, ECHOD], node="node2")) for name in ("server", "peer")))
        self.namespace.ready("client", "server", "peer")
        self.address = {name: self.namespace.address(name) for name in ("client", "server", "peer")}

    def crosses(self, target, port=HTTP):
        """How the client goes to that port now: the ports of the connections that begin on the link, and whether it is
        answered. A tunnel may be there already: then none begins."""
        with LinkWitness(self.cluster, self.cluster.nodes[0]) as witness:
            said = self.namespace.shell("client", f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {target} {port}",
                                        check=False)
        return {syn.port for syn in witness.between({self.address["client"], target})}, bool(said)

    def wait_in_clear(self, target, port=HTTP):
        wait_until(lambda: self.crosses(target, port) == ({port}, True), f"{target}:{port} is in clear", SECONDS)

    def is_inside(self, target, port=HTTP):
        ports, answered = self.crosses(target, port)
        return ports <= {HBONE} and answered

    def wait_inside(self, target, port=HTTP):
        wait_until(lambda: self.is_inside(target, port), f"{target}:{port} is reached by the mesh", SECONDS)

    def is_served_outside(self, port):
        """Whether the server answers the machine of the control plane, which is no node of the mesh."""
        script = f"printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 3 {self.address['server']} {port}"
        return bool(self.cluster.control.run(["sh", "-c", script], check=False).stdout)

    def says(self, name):
        status = self.cluster.find("interceptionpolicy", name, "apart").get("status", {})
        return [one["message"] for one in status.get("conditions", ()) if one["type"] == "Accepted"]

    def annotate(self, name, what, value):
        given = f"{ANNOTATION}{what}={value}" if value else f"{ANNOTATION}{what}-"
        self.namespace.kubectl("annotate", "pod", name, given)


@pytest.fixture(scope="module")
def apart(cluster, release):
    made = Apart(cluster, release)
    made.wait_inside(made.address["server"])
    wait_until(lambda: not made.is_served_outside(HTTP), "the server is STRICT", SECONDS)
    yield made
    made.namespace.remove(wait=False)


@pytest.fixture(autouse=True)
def nothing_is_excluded_afterwards(apart):
    yield
    apart.namespace.kubectl("delete", "interceptionpolicy", "--all")
    apart.wait_inside(apart.address["peer"])
    apart.wait_inside(apart.address["peer"], ECHO)
    for port in (HTTP, ECHO):
        wait_until(lambda: not apart.is_served_outside(port), "the server is STRICT on all ports", SECONDS)


def test_an_excluded_inbound_port_takes_plaintext_and_no_other(apart):
    apart.namespace.apply(policy("inbound", "server", excludedInboundPorts=[ECHO]))
    wait_until(lambda: apart.is_served_outside(ECHO), "plaintext is served on the port", SECONDS)
    assert not apart.is_served_outside(HTTP)
    assert apart.is_inside(apart.address["server"], ECHO)  # Whoever is inside comes by the mesh as ever.


def test_an_excluded_source_is_served_in_clear_and_no_other(apart):
    outside = apart.cluster.control_address(4)
    apart.namespace.apply(policy("sources", "server", excludedInboundCidrs=["192.0.2.0/24"]))
    wait_until(lambda: apart.says("sources") == ["pods: 1"], "it counts", SECONDS, 0.5)
    assert not apart.is_served_outside(HTTP)
    apart.namespace.apply(policy("sources", "server", excludedInboundCidrs=[f"{outside}/32"]))
    wait_until(lambda: apart.is_served_outside(HTTP), "plaintext of the source is served", SECONDS)
    assert apart.is_inside(apart.address["server"])  # Whoever is inside comes by the mesh as ever.


def test_an_excluded_block_is_reached_in_clear_and_no_other(apart):
    apart.namespace.apply(policy("outbound", "client", excludedOutboundCidrs=[f"{apart.address['peer']}/32"]))
    apart.wait_in_clear(apart.address["peer"])
    assert apart.is_inside(apart.address["server"])


def test_what_selects_the_pod_wins_over_what_is_for_its_namespace(apart):
    apart.namespace.apply(policy("for-all", excludedOutboundPorts=[HTTP]))
    apart.wait_in_clear(apart.address["peer"])
    apart.namespace.apply(policy("for-it", "client", excludedOutboundPorts=[ECHO]))
    apart.wait_in_clear(apart.address["peer"], ECHO)
    assert apart.is_inside(apart.address["peer"])  # One counts, and that as a whole.


def test_of_two_for_the_same_pod_the_older_counts_and_the_younger_says_so(apart):
    apart.namespace.apply(policy("older", "client", excludedOutboundPorts=[ECHO]))
    apart.wait_in_clear(apart.address["peer"], ECHO)
    apart.namespace.apply(policy("younger", "client", excludedOutboundPorts=[HTTP]))
    said = ["pods: 0; left to older, which is older: 1"]
    wait_until(lambda: apart.says("younger") == said, "it is said", SECONDS, 0.5)
    assert apart.says("older") == ["pods: 1"]
    assert apart.is_inside(apart.address["peer"])
    apart.namespace.delete("interceptionpolicy", "older")
    apart.wait_in_clear(apart.address["peer"])
    wait_until(lambda: apart.says("younger") == ["pods: 1"], "it counts now", SECONDS, 0.5)


@pytest.mark.parametrize("what", ["OutboundPorts", "OutboundIPRanges"])
def test_istios_annotations_of_the_client_mean_the_same(apart, what):
    apart.annotate("client", what, {"OutboundPorts": HTTP, "OutboundIPRanges": f"{apart.address['peer']}/32"}[what])
    apart.wait_in_clear(apart.address["peer"])
    other = {"OutboundPorts": ("peer", ECHO), "OutboundIPRanges": ("server", HTTP)}[what]
    assert apart.is_inside(apart.address[other[0]], other[1])
    apart.annotate("client", what, None)


def test_istios_annotation_of_the_server_means_the_same(apart):
    apart.annotate("server", "InboundPorts", ECHO)
    wait_until(lambda: apart.is_served_outside(ECHO), "plaintext is served on the port", SECONDS)
    assert not apart.is_served_outside(HTTP)
    assert apart.is_inside(apart.address["server"], ECHO)
    apart.annotate("server", "InboundPorts", None)


def test_istios_annotation_of_all_sources_means_the_same(apart):
    annotation = "ambient.istio.io/bypass-inbound-capture"
    apart.namespace.kubectl("annotate", "pod", "server", f"{annotation}=true")
    for port in (HTTP, ECHO):
        wait_until(lambda: apart.is_served_outside(port), "plaintext of anybody is served", SECONDS)
    assert apart.is_inside(apart.address["server"])  # Whoever is inside comes by the mesh as ever.
    apart.namespace.kubectl("annotate", "pod", "server", f"{annotation}-")
