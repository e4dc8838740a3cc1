"""An independent witness on each pod's link: TCP that the mesh should have had does not leave, whatever happens."""

import os
import signal
import time

import pytest
from mesh import PORT, SERVICE_IP, authority, call, report, running, serve, start, wait_said, whoami
from mesh.watch import SETTLED_SECONDS, Leak, Watch
from mesh.witness import Witness, sockets
from topology import mesh_objects as objects
from topology import wait_until
from topology.process import Process


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        mesh.service = SERVICE_IP[mesh.version]
        mesh.config.put("service", objects.service("server", "shop", mesh.service, {"app": "server"}))
        mesh.config.put("endpoints", objects.endpoint_slice("server", "shop", [mesh.server]))
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        serve(mesh.legacy)
        mesh.address = str(mesh.server.address())
        wait_until(lambda: "address" in whoami(mesh.client, mesh.service, 80), "the service answers")
        yield mesh


@pytest.fixture
def witness(mesh):
    witness = Witness(mesh.client)
    yield witness
    witness.stop()


def to_servers(mesh, witness):
    """Connections of the client to the mesh's server in clear."""
    witness.stop()
    return [leak for leak in witness.leaks() if leak[1] in (mesh.address, mesh.service)]


def test_the_witness_sees_what_leaks(mesh):
    """The same search finds the traffic of a pod outside the mesh."""
    witness = Witness(mesh.legacy)
    call(mesh.legacy, "special", mesh.address, PORT, "plain")
    witness.stop()
    assert witness.leaks() == [(str(mesh.legacy.address()), mesh.address, PORT)]


def test_the_watch_on_every_pod_sees_what_leaks(mesh):
    """What ends each scene is no mere formality: it finds the same, on the wire and among open connections."""
    watch = Watch()
    watch.add(mesh.legacy)
    watch.meshed(mesh.legacy.node, mesh.server)
    time.sleep(SETTLED_SECONDS)
    keeper = start(mesh.legacy, "keep", mesh.address, PORT, 1, "hold_watched-#")
    wait_said(keeper, "open")
    leaks = watch.leaks()
    keeper.stop()
    mesh.legacy.leaving.clear()
    assert leaks == [Leak("legacy", seen, mesh.address, PORT) for seen in ("in its sockets", "on its link")]


def test_ordinary_traffic(mesh, witness):
    for host, port in ((mesh.address, PORT), (mesh.service, 80)):
        assert call(mesh.client, "many", host, port, 50, 2)["exchanges"] == 100
        assert call(mesh.client, "both", host, port, 1, 1 << 20)["same_up"]
    assert to_servers(mesh, witness) == []


def test_established_sockets_of_the_pod(mesh):
    """ss inside: the app's sockets end at the proxy in the same pod; only 15008 is another machine's."""
    keeper = start(mesh.client, "keep", mesh.address, PORT, 20, "hold_ss-#")
    wait_said(keeper, "open")
    peers = [peer for _, peer in sockets(mesh.client)]
    keeper.stop()
    assert peers.count(authority(mesh.client.address(), 15001)) >= 20
    elsewhere = [peer for peer in peers if str(mesh.client.address()) not in peer]
    assert {peer.rsplit(":", 1)[1] for peer in elsewhere} == {"15008"}


def test_connections_during_start_of_a_pod(mesh):
    """The first process of a pod connects at once; what it sends is the mesh's or refused."""
    for number in range(5):
        pod = mesh.pod(f"eager-{number}", 0)
        witness = Witness(pod)
        for _ in range(3):
            call(pod, "special", mesh.address, PORT, "plain")
        witness.stop()
        assert [leak for leak in witness.leaks() if leak[1] == mesh.address] == []
        mesh.remove(pod)


def test_while_the_agent_is_killed_and_comes_back(mesh, witness):
    node = mesh.client.node
    hammer = start(mesh.client, "hammer", mesh.address, PORT, 6)
    wait_said(hammer, "started")
    node.agent.kill()
    time.sleep(1)  # It stays away for a while; the hammer goes on.
    node.start_agent()
    seen = wait_said(hammer, "ok", 20)
    assert seen["ok"] > 0 and seen["failed"] > 0
    assert to_servers(mesh, witness) == []


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_agent_is_a_reset_to_both_applications(mesh, killed):
    """An orderly end would tell them that a stream which was cut off is complete."""
    token = f"killed-{killed}"
    keeper = start(mesh.client, "keep", mesh.address, PORT, 1, f"hold_{token}")
    outsider = start(mesh.legacy, "keep", mesh.address, PORT, 1, f"hold_{token}-plain")
    for each in (keeper, outsider):
        wait_said(each, "open")
    mesh.nodes[killed].agent.kill()
    assert wait_said(keeper, "ended", 20)["ended"] == "ECONNRESET"
    if killed == 1:
        assert wait_said(outsider, "ended", 20)["ended"] == "ECONNRESET"
    outsider.stop()
    mesh.nodes[killed].start_agent()
    wait_until(lambda: "address" in whoami(mesh.client, mesh.address), "traffic flows again", 20)
    assert report(mesh.client, mesh.address, token) == "ECONNRESET"
    if killed == 1:
        assert report(mesh.client, mesh.address, f"{token}-plain") == "ECONNRESET"


def test_while_the_agent_hangs(mesh, witness):
    """Stopped, not dead: after 5 s its heartbeat is old, and connects fail as if it were gone."""
    node = mesh.client.node
    node.agent.signal(signal.SIGSTOP)
    try:
        refused = wait_until(lambda: call(mesh.client, "special", mesh.address, PORT, "plain").get("error") ==
                             "ECONNREFUSED", "connects are refused", 20)
    finally:
        node.agent.signal(signal.SIGCONT)
    assert refused
    wait_until(lambda: whoami(mesh.client, mesh.address).get("address") == str(mesh.client.address()),
               "traffic flows again", 20)
    assert to_servers(mesh, witness) == []


def test_while_the_peer_leaves_and_returns(mesh, witness):
    mesh.nodes[1].agent.kill()
    assert "error" in whoami(mesh.client, mesh.address)
    # Its ports stay its own meanwhile.
    assert {call(mesh.server, "bind", "0.0.0.0", port).get("error") for port in (15001, 15006, 15008)} == {
        "EADDRINUSE"}
    mesh.nodes[1].start_agent()
    wait_until(lambda: "address" in whoami(mesh.client, mesh.address), "traffic flows again", 20)
    assert to_servers(mesh, witness) == []


def test_a_process_outside_the_cgroup_is_reported(mesh):
    """No hook sees it, so it is not captured: somebody must hear of it."""
    node = mesh.client.node
    log = mesh.topology.dir / "stray.log"
    stray = Process(["nsenter", f"--net={mesh.client.netns_path}", "sleep", "60"], "stray", log)
    try:
        wait_until(lambda: strays(node) > 0, "the stray process is counted", 25)
        wait_until(lambda: "pod.process.outside" in node.agent.output(), "it is logged")
        assert os.path.exists(f"/proc/{stray.pid}")
    finally:
        stray.kill()
    wait_until(lambda: strays(node) == 0, "it is not counted any more", 25)


def strays(node):
    lines = node.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout.splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith("heddle_stray_processes"))
