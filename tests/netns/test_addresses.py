"""Servers see their clients' own addresses, whatever clients do with ports, and no way of connecting is a way out."""

import pytest
from mesh import PORT, call, principal, running, said, serve, start, wait_said, whoami
from mesh.witness import Witness, datagram, sockets
from topology import wait_until

LIVE = 5000


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        mesh.address = str(mesh.server.address())
        yield mesh


def test_two_pods_with_one_service_account_are_two_addresses(mesh):
    twins = [mesh.pod(name, 0, service_account="twin") for name in ("one", "two")]
    seen = [whoami(twin, mesh.address).get("address") for twin in twins]
    assert seen == [str(twin.address()) for twin in twins]
    log = mesh.nodes[1].agent
    wait_until(lambda: all(any(address in line and f"spiffe://{principal('twin')}" in line
                               for line in log.output().splitlines()) for address in seen), "access log of both")


def test_deleting_one_pod_leaves_the_streams_of_its_twin_alone(mesh):
    gone, stays = [mesh.pod(name, 0, service_account="twin") for name in ("gone", "stays")]
    lost, kept = [start(twin, "keep", mesh.address, PORT, 3, f"hold_{twin.name}-#") for twin in (gone, stays)]
    for process in (lost, kept):
        wait_said(process, "open")
    mesh.remove(gone)
    wait_until(lambda: not any(str(gone.address()) in peer for _, peer in sockets(mesh.server)),
               "the deleted pod's connections end at the server")
    assert whoami(stays, mesh.address).get("address") == str(stays.address())
    assert said(kept) == [{"open": 3}]


def test_a_deleted_servers_connections_end_and_its_neighbours_stay(mesh):
    one, two = [mesh.pod(name, 1, service_account="pair") for name in ("server-one", "server-two")]
    for pod in (one, two):
        serve(pod)
        wait_until(lambda: "address" in whoami(mesh.client, str(pod.address())), f"{pod.name} answers")
    lost, kept = [start(mesh.client, "keep", str(pod.address()), PORT, 3, "hold_pair-#") for pod in (one, two)]
    for process in (lost, kept):
        wait_said(process, "open")
    mesh.remove(one)
    wait_until(lambda: sum("ended" in each for each in said(lost)) == 3, "connections to the deleted pod end", 35)
    assert said(kept) == [{"open": 3}]


def test_five_thousand_live_plaintext_connections_from_one_address_to_one_port(mesh):
    keeper = start(mesh.legacy, "keep", mesh.address, PORT, LIVE, "hold_live-#")
    assert wait_said(keeper, "open", 90) == {"open": LIVE}
    seen = [peer for _, peer in sockets(mesh.server, f"sport = :{PORT}") if str(mesh.legacy.address()) in peer]
    assert len(set(seen)) >= 2 * LIVE  # Those that were captured, and as many that the application sees.
    # There is room for more, and for another client.
    assert whoami(mesh.legacy, mesh.address).get("address") == str(mesh.legacy.address())
    assert whoami(mesh.client, mesh.address).get("address") == str(mesh.client.address())
    assert said(keeper) == [{"open": LIVE}]
    keeper.stop()
    wait_until(lambda: len(sockets(mesh.server, f"sport = :{PORT}")) < 10, "all of them end", 30)


@pytest.mark.parametrize("name", ["client", "legacy"])
def test_reconnecting_from_the_same_source_port_does_not_hang(mesh, name):
    place = getattr(mesh, name)
    seen = call(place, "same_port", mesh.address, PORT, 33333, 100)
    assert seen.get("addresses") == [str(place.address())], seen
    assert seen["seconds"] < 10


@pytest.mark.parametrize("name", ["client", "legacy"])
def test_a_lost_syn_is_sent_again_and_served(mesh, name):
    """The pod's link leads nowhere when the first SYN leaves, of a tunnel or of the client itself."""
    pod = mesh.pod(f"lost-syn-{name}", 0, getattr(mesh, name).spec.namespace)
    datagram(pod, b"who is the gateway")  # The gateway is known: what gets lost is the SYN.
    link = host_side(pod)
    pod.node.netns.ip("link", "set", link, "nomaster")
    asking = start(pod, "ask", mesh.address, PORT, "whoami")
    wait_until(lambda: pod.run(["ss", "-Htn", "state", "syn-sent"]).stdout, "a SYN waits for its answer", 8)
    pod.node.netns.ip("link", "set", link, "master", "cni0")
    assert wait_said(asking, "address")["address"] == str(pod.address())


def host_side(pod):
    """The name of the other end of the pod's link, on its node."""
    index = pod.netns.ip("-o", "link", "show", "eth0").stdout.split("eth0@if")[1].split(":")[0]
    for line in pod.node.netns.ip("-o", "link").stdout.splitlines():
        if line.startswith(f"{index}: "):
            return line.split()[1].split("@")[0]
    raise LookupError(f"{pod.name} has no link on its node")


KINDS = ["reuseport", "tfo-connect", "tfo-sendto", "mptcp", "device", "mapped", "nonblocking", "again"]
REFUSALS = ("ECONNREFUSED", "EPERM", "EPROTONOSUPPORT", "EOPNOTSUPP", "EACCES")


@pytest.fixture
def special(mesh, request):
    """A pod of the test's own, with a witness on its link; at the end only TLS to 15008 may have left the pod."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name.removeprefix("test_"))
    pod = mesh.pod(name[-40:].strip("-"), 0)
    mesh.wait_meshed(pod, mesh.server)
    witness = Witness(pod)
    yield pod
    witness.stop()
    assert witness.leaks() == []
    mesh.remove(pod)


@pytest.mark.parametrize("kind", KINDS)
def test_unusual_connects_are_captured_or_refused(mesh, special, kind):
    seen = call(special, "special", mesh.address, PORT, kind)
    assert seen.get("address") == str(special.address()) or seen.get("error") in REFUSALS, seen
    print(f"{kind}: {seen}")


@pytest.mark.parametrize("kind", ["tfo-connect", "tfo-sendto"])
def test_data_in_the_first_segment_does_not_leave_in_clear(mesh, special, kind):
    """Fast Open without a cookie: the SYN itself would carry the request."""
    special.netns.sysctl("net/ipv4/tcp_fastopen", 0x1 | 0x2 | 0x4 | 0x200 | 0x400)
    for _ in range(3):
        seen = call(special, "special", mesh.address, PORT, kind)
        assert seen.get("address") == str(special.address()) or seen.get("error") in REFUSALS, seen


def test_segments_that_an_app_builds_itself_do_not_leave(mesh, special):
    assert call(special, "raw_syn", mesh.address, PORT, 3)["results"], "the app could try"
    # Of a pod outside the mesh they do.
    witness = Witness(mesh.legacy)
    assert call(mesh.legacy, "raw_syn", mesh.address, PORT, 3)["results"] == ["sent"]
    witness.stop()
    assert (str(mesh.legacy.address()), mesh.address, PORT) in witness.syns()


@pytest.mark.parametrize("name", ["client", "legacy"])
def test_a_socket_names_the_peer_that_the_application_dialled(mesh, name):
    seen = call(getattr(mesh, name), "peer_name", mesh.address, PORT)
    assert seen == {"peer": [mesh.address, PORT]}
