"""Both event loops and every combination of address families pass the same tests."""

import pytest
from mesh import PORT, SERVICE_IP, answers, call, running, serve, tunnels, whoami
from mesh.witness import Witness
from topology import mesh_objects as objects
from topology import wait_until

BACKENDS = ["epoll", "io_uring"]
FAMILIES = [("ipv4",), ("ipv6",), ("ipv4", "ipv6")]
LOOPBACK = {4: "127.0.0.1", 6: "::1"}


def versions_of(families):
    return [4 if family == "ipv4" else 6 for family in families]


@pytest.fixture(scope="module", params=[(backend, families) for backend in BACKENDS for families in FAMILIES],
                ids=lambda pair: f"{pair[0]}-{'+'.join(pair[1])}")
def mesh(request):
    backend, families = request.param
    with running(families=families, agent_flags=("--backend", backend)) as mesh:
        mesh.backend, mesh.versions = backend, versions_of(families)
        mesh.client, mesh.server = mesh.client_and_server()
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        mesh.config.put("service", objects.service("server", "shop", SERVICE_IP[mesh.version], {"app": "server"}))
        mesh.config.put("endpoints", objects.endpoint_slice("server", "shop", [mesh.server]))
        yield mesh


def test_the_agents_use_the_backend_that_they_were_told(mesh):
    for node in mesh.nodes:
        assert mesh.admin(node, "/debug/status")["backend"] == mesh.backend


def test_hbone_carries_every_family(mesh):
    for version in mesh.versions:
        witness = Witness(mesh.client)
        assert answers(mesh.client, mesh.server, version)
        witness.stop()
        assert witness.leaks() == []
        assert call(mesh.client, "both", str(mesh.server.address(version)), PORT, 1, 4 << 20)["same_down"]
    assert tunnels(mesh.client, mesh.server)


def test_clients_outside_the_mesh_are_served_in_every_family(mesh):
    for version in mesh.versions:
        assert answers(mesh.legacy, mesh.server, version)
        assert call(mesh.legacy, "both", str(mesh.server.address(version)), PORT, 1, 4 << 20)["same_down"]


def test_a_service_address_leads_to_its_pod(mesh):
    address = SERVICE_IP[mesh.version]
    wait_until(lambda: whoami(mesh.client, address, 80).get("address") == str(mesh.client.address()),
               "the service answers")


def test_a_pod_reaches_itself_by_its_service(mesh):
    address = SERVICE_IP[mesh.version]
    wait_until(lambda: whoami(mesh.server, address, 80).get("address") == str(mesh.server.address()),
               "the pod reaches itself by its service")


def test_a_pod_reaches_itself_by_its_own_address_and_by_loopback(mesh):
    for version in mesh.versions:
        assert answers(mesh.server, mesh.server, version)
        assert whoami(mesh.server, LOOPBACK[version])["address"] == LOOPBACK[version]


def test_an_app_that_listens_on_the_pods_address_alone_is_served(mesh):
    for version in mesh.versions:
        address, port = str(mesh.server.address(version)), 8100 + version
        serve(mesh.server, port, address)
        for place in (mesh.client, mesh.legacy):
            assert whoami(place, address, port).get("address") == str(place.address(version))


def test_an_app_on_loopback_alone_is_not_reached_from_outside(mesh):
    for version in mesh.versions:
        port = 8200 + version
        serve(mesh.server, port, LOOPBACK[version])
        assert whoami(mesh.server, LOOPBACK[version], port)["address"] == LOOPBACK[version]
        for place in (mesh.client, mesh.legacy):
            assert "error" in whoami(place, str(mesh.server.address(version)), port)


def test_probes_of_the_node_reach_the_app_from_the_nodes_address(mesh):
    for version in mesh.versions:
        gateway = "10.77.2.1" if version == 4 else "fd77:0:0:2::1"
        assert whoami(mesh.server.node, str(mesh.server.address(version)))["address"] == gateway


def test_probes_pass_where_strict_refuses_everybody_else(mesh):
    mesh.config.put("strict", objects.peer_authentication("strict", "shop", "STRICT", {"app": "server"}))
    try:
        for version in mesh.versions:
            address = str(mesh.server.address(version))
            wait_until(lambda: "error" in whoami(mesh.legacy, address), "clients outside the mesh are refused")
            assert "address" in whoami(mesh.server.node, address)
            assert answers(mesh.client, mesh.server, version)
            # A process of the machine that is on no node is nobody's probe.
            assert "error" in whoami(mesh.topology.control, address)
    finally:
        mesh.config.remove("strict")
    wait_until(lambda: answers(mesh.legacy, mesh.server), "clients outside the mesh are served again")
