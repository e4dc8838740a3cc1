"""Policies decide who is served, from the moment on which their file is written."""

import time

import pytest
from mesh import PORT, principal, running, said, start, wait_said, whoami
from topology import mesh_objects as objects
from topology import wait_until
from topology.applications import Prober, get
from topology.applications import serve as serve_http

HTTP_PORT = 8081
# From the file's rename to the effect; the machine of the tests has two cores and runs everything at once.
EFFECT_MS_MAX = 1000


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        serve_http(mesh.server, HTTP_PORT)
        mesh.other = mesh.pod("other", 0)
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        mesh.address = str(mesh.server.address())
        mesh.wait_meshed(mesh.other, mesh.server)
        yield mesh


@pytest.fixture(autouse=True)
def everybody_is_served_before_and_after(mesh):
    files = set(mesh.config.path.iterdir())
    yield
    for file in set(mesh.config.path.iterdir()) - files:
        file.unlink()
    wait_until(lambda: served(mesh) == {"client", "other", "legacy"}, "everybody is served again", 20)


def served(mesh):
    """Who gets an answer from the server."""
    return {place.name for place in (mesh.client, mesh.other, mesh.legacy)
            if whoami(place, mesh.address).get("address") == str(place.address())}


def wait_served(mesh, *names):
    wait_until(lambda: served(mesh) == set(names), f"only {names} are served")


def write(mesh, name, action, rules, selector=None, namespace="shop"):
    spec = {"action": action, "rules": rules}
    if selector:
        spec["selector"] = {"matchLabels": selector}
    mesh.config.put(name, {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
                           "metadata": {"name": name, "namespace": namespace}, "spec": spec})


def source(**fields):
    return [{"from": [{"source": fields}]}]


SERVER = {"app": "server"}
ALLOWS = {
    "principal": (lambda mesh: source(principals=[principal("client")]), {"client"}),
    "principal by prefix": (lambda mesh: source(principals=["cluster.local/ns/shop/*"]), {"client", "other"}),
    "principal by suffix": (lambda mesh: source(principals=["*/sa/other"]), {"other"}),
    "any principal": (lambda mesh: source(principals=["*"]), {"client", "other"}),
    "not a principal": (lambda mesh: source(notPrincipals=[principal("client")]), {"other", "legacy"}),
    "namespace": (lambda mesh: source(namespaces=["shop"]), {"client", "other"}),
    "service account": (lambda mesh: source(serviceAccounts=["shop/other"]), {"other"}),
    "address": (lambda mesh: source(ipBlocks=[f"{mesh.legacy.address()}/32"]), {"legacy"}),
    "not an address": (lambda mesh: source(notIpBlocks=[f"{mesh.legacy.address()}/32"]), {"client", "other"}),
    "this port": (lambda mesh: [{"to": [{"operation": {"ports": [str(PORT)]}}]}], {"client", "other", "legacy"}),
    "another port": (lambda mesh: [{"to": [{"operation": {"ports": ["1"]}}]}], set()),
    "nobody": (lambda mesh: [], set()),
    "a rule that needs HTTP": (lambda mesh: [{"to": [{"operation": {"methods": ["GET"]}}]}], set()),
}


@pytest.mark.parametrize("what", ALLOWS)
def test_an_allow_that_selects_the_workload_denies_everybody_else(mesh, what):
    rules, names = ALLOWS[what]
    write(mesh, "allow", "ALLOW", rules(mesh), SERVER)
    if names == {"client", "other", "legacy"}:
        write(mesh, "allow-too", "ALLOW", source(principals=["nobody"]), {"app": "client"})
        wait_until(lambda: "error" in whoami(mesh.server, str(mesh.client.address())), "the policies have arrived")
    wait_served(mesh, *names)


def test_an_allow_for_other_workloads_changes_nothing_here(mesh):
    write(mesh, "elsewhere", "ALLOW", source(principals=["nobody"]), {"app": "other"})
    write(mesh, "fence", "ALLOW", source(principals=[principal("client")]), SERVER)
    wait_served(mesh, "client")
    mesh.config.remove("fence")
    wait_served(mesh, "client", "other", "legacy")


def test_a_deny_wins_over_an_allow(mesh):
    write(mesh, "allow", "ALLOW", source(namespaces=["shop"]), SERVER)
    wait_served(mesh, "client", "other")
    write(mesh, "deny", "DENY", source(principals=[principal("other")]), SERVER)
    wait_served(mesh, "client")


def test_policies_without_a_selector_hold_for_the_namespace_and_the_mesh(mesh):
    write(mesh, "of-namespace", "ALLOW", source(principals=[principal("client")]))
    wait_served(mesh, "client")
    mesh.config.remove("of-namespace")
    write(mesh, "of-mesh", "DENY", source(principals=[principal("client")]), namespace="istio-system")
    wait_served(mesh, "other", "legacy")


def test_a_deny_that_needs_http_denies_its_port(mesh):
    write(mesh, "deny", "DENY", [{"to": [{"operation": {"ports": [str(PORT)], "paths": ["/admin"]}}]}], SERVER)
    wait_served(mesh)
    assert get(mesh.client, mesh.address, port=HTTP_PORT) == str(mesh.client.address())  # Other ports stay open.


MODES = {"mesh": (None, None), "namespace": ("shop", None), "workload": ("shop", SERVER)}


@pytest.mark.parametrize("level", MODES)
def test_strict_refuses_clients_without_an_identity(mesh, level):
    namespace, selector = MODES[level]
    mesh.config.put("strict", objects.peer_authentication("default", namespace or "istio-system", "STRICT", selector))
    wait_served(mesh, "client", "other")


def test_the_mode_of_a_port_wins_over_that_of_its_workload(mesh):
    strict = objects.peer_authentication("server", "shop", "STRICT", SERVER)
    strict["spec"]["portLevelMtls"] = {str(HTTP_PORT): {"mode": "PERMISSIVE"}}
    mesh.config.put("strict", strict)
    wait_served(mesh, "client", "other")
    assert get(mesh.legacy, mesh.address, port=HTTP_PORT) == str(mesh.legacy.address())


@pytest.mark.parametrize("name", ["client", "legacy"])
def test_tightening_ends_established_connections_that_are_no_longer_allowed(mesh, name):
    """And only those; measured from the rename of the file."""
    place, other = getattr(mesh, name), mesh.other
    ending, staying = [start(each, "keep", mesh.address, PORT, 5, f"hold_{each.name}-#") for each in (place, other)]
    for process in (ending, staying):
        wait_said(process, "open")
    prober = Prober(place, mesh.address, HTTP_PORT)
    prober.wait_for(lambda outcome: outcome == "ok", 0, "a first answer")
    written = time.monotonic_ns()
    write(mesh, "allow", "ALLOW", source(principals=[principal("other")]), SERVER)
    refused, _ = prober.wait_for(lambda outcome: outcome != "ok", written, "a refusal")
    wait_until(lambda: sum("ended" in each for each in said(ending)) == 5, "the open connections end")
    prober.stop()
    ends = [each for each in said(ending) if "ended" in each]
    assert {each["ended"] for each in ends} == {"ECONNRESET"}
    assert said(staying) == [{"open": 5}]
    staying.stop()
    tell_and_check(f"ALLOW without {name}", refused - written, max(each["at"] for each in ends) - written)


def test_removal_of_an_allow_rule_ends_connections_and_removal_of_the_policy_admits_again(mesh):
    write(mesh, "allow", "ALLOW", source(principals=[principal("client"), principal("other")]), SERVER)
    wait_served(mesh, "client", "other")
    keeper = start(mesh.client, "keep", mesh.address, PORT, 3, "hold_removal-#")
    wait_said(keeper, "open")
    prober = Prober(mesh.client, mesh.address, HTTP_PORT)
    written = time.monotonic_ns()
    write(mesh, "allow", "ALLOW", source(principals=[principal("other")]), SERVER)
    refused, _ = prober.wait_for(lambda outcome: outcome != "ok", written, "a refusal")
    wait_until(lambda: sum("ended" in each for each in said(keeper)) == 3, "the open connections end")
    ended = max(each["at"] for each in said(keeper) if "ended" in each)
    removed = time.monotonic_ns()
    mesh.config.remove("allow")
    admitted, _ = prober.wait_for(lambda outcome: outcome == "ok", removed, "an answer")
    prober.stop()
    tell_and_check("rule removed", refused - written, ended - written)
    tell_and_check("policy removed", admitted - removed, admitted - removed)


def tell_and_check(what, *nanoseconds):
    milliseconds = [each / 1e6 for each in nanoseconds]
    print(f"{what}: new connections after {milliseconds[0]:.0f} ms, established ones after {milliseconds[-1]:.0f} ms")
    assert max(milliseconds) < EFFECT_MS_MAX
