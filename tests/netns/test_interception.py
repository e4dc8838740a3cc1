"""InterceptionPolicy: what it excludes passes by the mesh, nothing else does, and the fail mode is the pod's."""

import pytest
from mesh import PORT, call, running, serve
from mesh.witness import Witness
from topology import mesh_objects as objects
from topology import wait_until

OTHER_PORT = 8090


@pytest.fixture(scope="module")
def mesh():
    # What is excluded is what the watch on every pod would call a leak: it must have seen some.
    with running(families=("ipv4", "ipv6"), leaks_expected=True) as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        serve(mesh.server, OTHER_PORT)
        mesh.legacy, mesh.plain = mesh.pod("legacy", 0, "outside"), mesh.pod("plain", 1, "outside")
        serve(mesh.plain)
        mesh.address = str(mesh.server.address())
        mesh.config.put("strict", objects.peer_authentication("strict", "shop", "STRICT"))
        wait_until(lambda: not served(mesh.legacy, mesh), "plaintext is refused")
        yield mesh


@pytest.fixture(autouse=True)
def nothing_is_excluded_before_and_after(mesh):
    yield
    mesh.config.remove("interception")
    wait_until(lambda: captured(mesh) and captured(mesh, OTHER_PORT), "everything is captured again")
    wait_until(lambda: not served(mesh.legacy, mesh) and not served(mesh.legacy, mesh, OTHER_PORT), "and refused")


def served(place, mesh, port=PORT, version=4):
    answer = call(place, "ask", mesh.server.address(version), port, "whoami")
    return answer.get("address") == str(place.address(version))


def seen_leaving(mesh, port):
    """Whether a connection of the client to that port crosses its link in clear."""
    witness = Witness(mesh.client)
    answer = call(mesh.client, "special", mesh.address, port, "plain")
    witness.stop()
    return any(leak[1:] == (mesh.address, port) for leak in witness.leaks()), answer


def captured(mesh, port=PORT):
    leaving, answer = seen_leaving(mesh, port)
    return not leaving and answer.get("address") == str(mesh.client.address())


def exclude(mesh, app, **spec):
    mesh.config.put("interception", objects.interception_policy("interception", "shop", {"app": app}, **spec))


def told(mesh, pod):
    """What its agent says is not captured of it."""
    pods = mesh.admin(pod.node, "/debug/pods")
    return next(each.get("interception") for each in pods if each["name"] == pod.name)


def test_an_excluded_outbound_port_leaves_in_clear_and_no_other(mesh):
    exclude(mesh, "client", excludedOutboundPorts=[OTHER_PORT])
    # The server is STRICT: what comes in clear is refused there.
    wait_until(lambda: seen_leaving(mesh, OTHER_PORT) == (True, {"error": "ECONNREFUSED"}), "the port is excluded")
    assert captured(mesh, PORT)
    assert told(mesh, mesh.client) == {"excludedOutboundPorts": [OTHER_PORT]}
    assert told(mesh, mesh.server) is None


def test_an_excluded_outbound_block_leaves_in_clear(mesh):
    exclude(mesh, "client", excludedOutboundCidrs=[f"{mesh.address}/32"], failMode="Open")
    wait_until(lambda: seen_leaving(mesh, PORT)[0], "the block is excluded")
    assert told(mesh, mesh.client) == {"excludedOutboundCidrs": [f"{mesh.address}/32"], "failMode": "Open"}


def test_an_excluded_inbound_port_takes_plaintext_and_no_other(mesh):
    exclude(mesh, "server", excludedInboundPorts=[OTHER_PORT])
    wait_until(lambda: served(mesh.legacy, mesh, OTHER_PORT), "plaintext is served on the port")
    assert not served(mesh.legacy, mesh, PORT)
    assert captured(mesh, OTHER_PORT)  # Clients inside the mesh go on with mutual TLS.


def test_an_excluded_source_is_served_in_clear_and_no_other(mesh):
    for version in (4, 6):
        assert not served(mesh.legacy, mesh, version=version)
    # The client inside the mesh is among them, and goes on with mutual TLS.
    sources = [f"{mesh.legacy.address(4)}/32", str(mesh.legacy.address(6)), f"{mesh.client.address(4)}/32"]
    exclude(mesh, "server", excludedInboundCidrs=sources)
    wait_until(lambda: served(mesh.legacy, mesh), "plaintext of the source is served")
    assert served(mesh.legacy, mesh, version=6)
    for version in (4, 6):
        assert not served(mesh.plain, mesh, version=version)
    assert captured(mesh)
    mesh.server.node.agent.kill()
    served_alone = [served(mesh.legacy, mesh, version=version) for version in (4, 6)]
    others = [served(mesh.plain, mesh, version=version) for version in (4, 6)]
    mesh.server.node.start_agent()
    assert served_alone == [True, True] and others == [False, False]


@pytest.mark.parametrize("mode", ["Open", "Closed"])
def test_without_an_agent_the_fail_mode_decides(mesh, mode):
    exclude(mesh, "client", failMode=mode)
    wait_until(lambda: fail_mode(mesh) == mode, "the fail mode is in the kernel")
    mesh.client.node.agent.kill()
    answer = call(mesh.client, "special", mesh.plain.address(), PORT, "plain")
    mesh.client.node.start_agent()
    if mode == "Open":
        assert answer.get("address") == str(mesh.client.address())
    else:
        assert answer == {"error": "ECONNREFUSED"}


def fail_mode(mesh):
    node = mesh.client.node
    dump = node.run(["bpftool", "map", "dump", "pinned", node.pin_dir / "maps" / "hd_pods"]).stdout
    record = next(part for part in dump.split('"key"') if "shop/client" in part)
    return "Open" if "HD_FAIL_OPEN" in record else "Closed"
