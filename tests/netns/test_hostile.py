"""Hostile input from the network ends one connection, and nothing else."""

import json
import time

import pytest
from mesh import PORT, authority, call, python, running, said, start, wait_said, whoami
from mesh.authority import Authority, spiffe
from mesh.hbone import FLOODS
from mesh.witness import sockets
from topology import wait_until

OUTBOUND, PLAINTEXT, HBONE = 15001, 15006, 15008


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        mesh.near = mesh.pod("near", 1)
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        mesh.address = str(mesh.server.address())
        mesh.authority = Authority(mesh.topology.controller_dir)
        mesh.files = mesh.topology.dir / "certificates"
        mesh.files.mkdir(mode=0o700)
        mesh.good = mesh.authority.issue(mesh.files, "good", spiffe("client"))
        yield mesh


@pytest.fixture(autouse=True)
def everything_else_goes_on(mesh):
    """Around each test: a connection through the mesh stays open, and the programs run and serve."""
    pids = [process.pid for process in programs(mesh)]
    keeper = start(mesh.client, "keep", mesh.address, PORT, 2, "hold_bystander-#")
    wait_said(keeper, "open")
    yield
    assert said(keeper) == [{"open": 2}]
    keeper.stop()
    assert [process.pid for process in programs(mesh) if process.exit_code is None] == pids
    assert whoami(mesh.client, mesh.address).get("address") == str(mesh.client.address())
    assert mesh.topology.controller_is_ready()


def programs(mesh):
    return [mesh.topology.controller, *(node.agent for node in mesh.nodes)]


def hbone(place, command, host, port, certificate, *arguments):
    chain, key = certificate
    done = place.run([*python("hbone"), command, host, port, chain, key, *arguments], timeout=30)
    return json.loads(done.stdout.splitlines()[-1])


def connect(mesh, wanted, certificate=None, method="CONNECT"):
    """What a peer that is no agent of ours gets, from a pod outside the mesh."""
    return hbone(mesh.legacy, "connect", mesh.address, HBONE, certificate or mesh.good, wanted, method)


def test_a_foreign_implementation_of_the_wire_is_served(mesh):
    seen = connect(mesh, authority(mesh.address, PORT))
    assert seen["status"] == 200 and seen["address"] == str(mesh.legacy.address())


@pytest.mark.parametrize("kind", ["random", "http1", "half_record", "nothing"])
@pytest.mark.parametrize("port", [HBONE, PLAINTEXT, OUTBOUND])
def test_bytes_that_are_no_protocol_end_their_connection(mesh, port, kind):
    seen = call(mesh.legacy, "send_raw", mesh.address, port, kind)
    assert seen.get("length", 0) < 100 and seen.get("error") != "timeout", seen


@pytest.mark.parametrize("length", [1, 5, 43, 150])
def test_a_truncated_handshake_ends_its_connection(mesh, length):
    seen = hbone(mesh.legacy, "truncate", mesh.address, HBONE, mesh.good, length)
    assert seen.get("length", 0) < 100, seen


def test_an_unfinished_handshake_is_given_up(mesh):
    waiting = mesh.legacy.spawn(["/usr/bin/python3", "-c", "import socket, sys\n"
                                 f"c = socket.create_connection(('{mesh.address}', {HBONE})); c.settimeout(20)\n"
                                 "c.sendall(b'\\x16\\x03\\x01')\n"
                                 "try: print('EOF' if not c.recv(100) else 'data')\n"
                                 "except OSError as error: print(type(error).__name__)"], "unfinished")
    wait_until(lambda: waiting.exit_code is not None, "the agent gives it up", 15)
    assert waiting.output().strip() in ("EOF", "ConnectionResetError")


SILENT = ("import socket, sys, time\n"
          "held = [socket.create_connection((sys.argv[1], int(sys.argv[2]))) for _ in range(1000)]\n"
          "print('{\"held\": true}', flush=True)\n"
          "time.sleep(60)\n")


def test_silent_peers_keep_no_tunnel_out(mesh):
    """Connections that never say hello take the places of their own address only."""
    silent = [mesh.legacy.spawn(["/usr/bin/python3", "-c", SILENT, mesh.address, HBONE], "silent") for _ in range(2)]
    for each in silent:
        wait_said(each, "held")
    pod, started = mesh.pod("newcomer", 0), time.monotonic()
    mesh.wait_meshed(pod, mesh.server)  # By a tunnel of its own.
    assert time.monotonic() - started < 5  # Not when the silent ones have been given up.
    mesh.remove(pod)
    for each in silent:
        each.stop()


def test_only_connect_is_answered_with_a_tunnel(mesh):
    assert connect(mesh, authority(mesh.address, PORT), method="GET")["status"] == 400


@pytest.mark.parametrize("kind", FLOODS)
def test_a_peer_of_the_mesh_that_breaks_the_rules_ends_its_connection(mesh, kind):
    """It has a certificate like everybody's; its own connection ends, soon."""
    seen = hbone(mesh.legacy, "flood", mesh.address, HBONE, mesh.good, kind, authority(mesh.address, PORT))
    assert seen.get("end") not in (None, "timeout"), seen
    print(f"{kind}: {seen}")


def authorities(mesh):
    others = [(mesh.near.address(), PORT), (mesh.client.address(), PORT), ("127.0.0.1", PORT), ("::1", PORT),
              ("0.0.0.0", PORT), ("::ffff:127.0.0.1", PORT), ("169.254.169.254", 80), (mesh.address, 99999)]
    return {**{authority(address, port): 400 for address, port in others},
            "nonsense": 400, ":": 400, f"{mesh.address}": 400, "nobody.shop.svc.cluster.local:80": 503,
            **{authority(mesh.address, port): 503 for port in (OUTBOUND, PLAINTEXT, HBONE)}}


def test_an_authority_that_is_not_this_pods_is_refused(mesh):
    wanted = authorities(mesh)
    seen = {each: connect(mesh, each).get("status") for each in wanted}
    assert seen == wanted


def bad_certificates(mesh):
    other = Authority.make(mesh.files / "other-root")
    issue, right = mesh.authority.issue, spiffe("client")
    return {"another root": other.issue(mesh.files, "other-root-leaf", right),
            "another trust domain": issue(mesh.files, "domain", spiffe("client", trust_domain="evil.example")),
            "no identity": issue(mesh.files, "dns", "DNS:client.shop"),
            "two identities": issue(mesh.files, "two", f"{right},{spiffe('admin')}"),
            "not a SPIFFE identity": issue(mesh.files, "scheme", "URI:https://cluster.local/ns/shop/sa/client"),
            "none at all": ("-", "-")}


def test_a_peer_without_a_certificate_of_the_mesh_gets_no_tunnel(mesh):
    for what, certificate in bad_certificates(mesh).items():
        seen = connect(mesh, authority(mesh.address, PORT), certificate)
        assert "status" not in seen or seen["status"] is None, f"{what}: {seen}"
    assert not sockets(mesh.legacy, "dport = :15008")


def test_nothing_is_sent_to_a_server_that_is_not_the_workload(mesh):
    """The server's address leads to somebody else, whose certificate is not the workload's."""
    other = Authority(mesh.files / "other-root") if (mesh.files / "other-root").exists() else Authority.make(
        mesh.files / "other-root")
    lures = {"another root": other.issue(mesh.files, "lure-root", spiffe("server")),
             "another trust domain": mesh.authority.issue(mesh.files, "lure-domain",
                                                          spiffe("server", trust_domain="evil.example")),
             "another identity": mesh.authority.issue(mesh.files, "lure-identity", spiffe("near"))}
    victim = mesh.pod("victim", 1, service_account="server")
    mesh.wait_meshed_by_announcement(mesh.client, victim)
    for what, certificate in lures.items():
        served, said_by_lure = dial_lure(mesh, str(victim.address()), certificate)
        assert "error" in served, f"{what}: {served}"
        assert said_by_lure and all(each["length"] == 0 for each in said_by_lure), f"{what}: {said_by_lure}"
    right = mesh.authority.issue(mesh.files, "lure-right", spiffe("server"))
    _, said_by_lure = dial_lure(mesh, str(victim.address()), right)
    assert any(each["length"] > 0 for each in said_by_lure), "the test's own lure works"


def dial_lure(mesh, address, certificate):
    """Leads the address to the control machine; returns what the client got, and what the lure was sent."""
    chain, key = certificate
    control, node = mesh.topology.control, mesh.client.node
    mesh.topology.fabric.ip("addr", "add", address, "dev", "lo")
    node.netns.ip("route", "add", address, "via", mesh.topology.control_address(mesh.version))
    lure = control.spawn([*python("hbone"), "impostor", address, HBONE, chain, key], "impostor")
    try:
        lure.wait_ready(lambda: said(lure), "the lure listens")
        client = start(mesh.client, "ask", address, PORT, "whoami")
        wait_until(lambda: len(said(lure)) > 1 or client.exit_code is not None, "the lure is dialled", 15)
        if client.exit_code is None and len(said(lure)) == 1:
            client.stop()
        lines = wait_until(lambda: said(lure)[1:], "the lure tells what came", 15)
        client.stop()
        return (said(client) or [{"error": "stopped"}])[-1], lines
    finally:
        lure.stop()
        node.netns.ip("route", "del", address)
        mesh.topology.fabric.ip("addr", "del", address, "dev", "lo")


def test_dials_to_our_ports_from_outside_lead_nowhere(mesh):
    """15001 is for redirected connections of the pod's own apps; nobody recorded where these want to go."""
    for place in (mesh.legacy, mesh.topology.control):
        for port in (OUTBOUND, PLAINTEXT):
            seen = call(place, "read_to_end", mesh.address, port, "whoami")
            assert seen.get("end") == "ECONNRESET" or seen.get("error") in ("ECONNRESET", "ECONNREFUSED", "EPIPE"), seen


def test_dials_to_our_ports_from_within_the_mesh_lead_nowhere(mesh):
    for place in (mesh.client, mesh.server):
        for port in (OUTBOUND, PLAINTEXT, HBONE):
            seen = call(place, "read_to_end", mesh.address, port, "whoami")
            assert "error" in seen or seen["end"] != "EOF" or seen["length"] == 0, seen


@pytest.mark.parametrize("port", [OUTBOUND, PLAINTEXT, HBONE])
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1", "::", "::1", "::ffff:127.0.0.1", "the pod's"])
def test_an_app_cannot_bind_our_ports(mesh, host, port):
    host = mesh.address if host == "the pod's" else host
    assert call(mesh.server, "bind", host, port) == {"error": "EADDRINUSE"}


def test_other_ports_and_other_pods_may_be_bound(mesh):
    assert call(mesh.near, "bind", "0.0.0.0", 8090) == {"bound": True}
    assert call(mesh.legacy, "bind", "0.0.0.0", HBONE) == {"bound": True}
