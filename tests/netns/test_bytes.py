"""The bytes of an application arrive as they were sent, and ends are told apart."""

import dataclasses
import pathlib
import re
import time

import pytest
from mesh import PORT, call, principal, report, running, said, serve, start, tunnels, wait_said, whoami
from topology import wait_until

GIB = 1 << 30
# What a stalled connection may hold of an agent's memory: the largest window of a stream (lib/http/h2_options.h), and
# what one turn of a relay moves (agent/proxy/relay.h). The sockets' own buffers are the kernel's.
STALLED_BYTES_MAX = (4 << 20) + (256 << 10)


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        serve(mesh.legacy)
        mesh.address = str(mesh.server.address())
        yield mesh


@dataclasses.dataclass
class Way:
    """From a client to a server's address."""
    name: str
    client: object
    address: str


@pytest.fixture(params=["hbone", "from outside", "to outside"])
def way(request, mesh):
    """Through a tunnel; of which only the server's side of the mesh knows; of which only the client's side does."""
    client = mesh.legacy if request.param == "from outside" else mesh.client
    server = mesh.legacy if request.param == "to outside" else mesh.server
    return Way(request.param.replace(" ", "-"), client, str(server.address()))


def resident(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


def test_a_gibibyte_each_way_at_once_arrives_unchanged(mesh):
    seen = call(mesh.client, "both", mesh.address, PORT, 1, GIB, seconds=180)
    assert (seen["length"], seen["server_length"]) == (GIB, GIB)
    assert seen["same_up"] and seen["same_down"] and seen["end"]
    print(f"1 GiB each way through the mesh: {seen['seconds']:.1f} s")


def test_bulk_of_plaintext_clients_arrives_unchanged(mesh):
    seen = call(mesh.legacy, "both", mesh.address, PORT, 1, GIB // 4, seconds=120)
    assert seen["same_up"] and seen["same_down"] and seen["end"]


def test_the_client_may_end_its_direction_first(way):
    seen = call(way.client, "both", way.address, PORT, 5, 100_000)
    assert seen["same_up"] and seen["same_down"] and seen["end"]


def test_the_server_may_end_its_direction_first(way):
    token = f"finish-{way.name}"
    assert call(way.client, "finish_first", way.address, PORT, token, 300_000) == {"length": 300_000}
    assert report(way.client, way.address, token) == "EOF after 300000"


def test_single_bytes_arrive_in_order(way):
    assert call(way.client, "single_bytes", way.address, PORT, 5000) == {"same": True, "length": 5000}


def test_a_thousand_connections_at_once(way):
    seen = call(way.client, "many", way.address, PORT, 1000, 3, seconds=90)
    assert seen.get("exchanges") == 3000, seen


@pytest.mark.parametrize("size", [0, 1000, 5_000_000])
def test_a_reset_of_the_server_is_a_reset_to_the_client(way, size):
    assert call(way.client, "read_to_end", way.address, PORT, "reset_after", size) == {"end": "ECONNRESET"}


def test_a_reset_of_the_client_is_a_reset_to_the_server(way):
    token = f"reset-{way.name}"
    assert call(way.client, "reset", way.address, PORT, token) == {"done": True}
    assert report(way.client, way.address, token) == "ECONNRESET"


def test_a_dial_that_fails_is_a_reset(way):
    closed_port, started = 9, time.monotonic()
    seen = call(way.client, "read_to_end", way.address, closed_port, "whoami")
    # The kernel may already have refused it, or the proxy has accepted before it knew; never an orderly end.
    assert (seen.get("end") or seen.get("error")) in ("ECONNRESET", "ECONNREFUSED", "EPIPE"), seen
    assert time.monotonic() - started < 3  # And at once: the port's refusal finds its way back to the proxy.


def test_a_denied_connection_is_a_reset(mesh):
    mesh.policy("deny-all-clients", "DENY", {"app": "server"}, [principal("client")])
    try:
        refusal = wait_until(lambda: whoami(mesh.client, mesh.address).get("error"), "the policy has effect")
        assert refusal == "ECONNRESET"
        seen = call(mesh.client, "read_to_end", mesh.address, PORT, "whoami")
        # The reset may come while the request is being sent or while the answer is awaited; never an orderly end.
        assert (seen.get("end") or seen.get("error")) == "ECONNRESET", seen
    finally:
        mesh.config.remove("deny-all-clients")
    wait_until(lambda: "address" in whoami(mesh.client, mesh.address), "the server answers again")


def agents_memory(mesh):
    return [resident(node.agent) for node in mesh.nodes]


def test_a_stalled_reader_stops_its_sender_and_nobody_else(mesh):
    streams, size = 8, 64 << 20
    call(mesh.client, "many", mesh.address, PORT, 64, 20)  # Memory that any traffic needs is not counted below.
    before = agents_memory(mesh)
    senders = [start(mesh.client, "stalled", mesh.address, PORT, f"stall-{number}", size) for number in range(streams)]
    stopped = [wait_said(sender, "stopped_at")["stopped_at"] for sender in senders]
    assert max(stopped) < size
    shared = tunnels(mesh.client, mesh.server)
    # 30 s of other streams of the same tunnels.
    busy = [call(mesh.client, "both", mesh.address, PORT, turn, 8 << 20, seconds=60) for turn in range(3)]
    going_on = call(mesh.client, "churn", mesh.address, PORT, 200, seconds=60)
    hold_still_until = wait_thirty_seconds(mesh, senders)
    assert hold_still_until == stopped
    assert all(each["same_up"] and each["same_down"] for each in busy) and going_on["exchanges"] == 200
    assert set(tunnels(mesh.client, mesh.server)) & set(shared)
    growth = [now - then for now, then in zip(agents_memory(mesh), before)]
    print(f"8 stalled streams: {[f'{each / 2**20:.1f} MiB' for each in growth]} more, stopped after "
          f"{max(stopped) / 2**20:.1f} MiB at the most")
    assert max(growth) < streams * STALLED_BYTES_MAX
    finish(mesh, senders, size)


def wait_thirty_seconds(mesh, senders):
    """Others go on meanwhile; returns where the senders stood then."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        assert call(mesh.client, "many", mesh.address, PORT, 20, 10)["exchanges"] == 200
    return [wait_said(sender, "stopped_at")["stopped_at"] for sender in senders]


def finish(mesh, senders, size):
    for number, sender in enumerate(senders):
        call_release(mesh, f"stall-{number}")
        assert wait_said(sender, "same", 60) == {"sent": size, "same": True, "length": size}, said(sender)


def call_release(mesh, token):
    assert call(mesh.client, "read_to_end", mesh.address, PORT, "release", token)["end"] == "EOF"
