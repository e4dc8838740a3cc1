"""Agents and controllers go and come back; what was decided holds meanwhile, and nothing is asked of the pods."""

import contextlib
import hashlib
import json
import shutil
import signal
import socket
import time

import pytest
from mesh import PORT, call, principal, report, running, said, serve, start, wait_said, whoami
from topology import CniError, PodSpec, wait_until
from topology import flags
from topology.applications import Prober
from topology.applications import serve as serve_http

HTTP_PORT = 8081


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        mesh.client, mesh.server = mesh.client_and_server()
        serve_http(mesh.server, HTTP_PORT)
        mesh.legacy = mesh.pod("legacy", 0, "outside")
        mesh.address = str(mesh.server.address())
        yield mesh


@pytest.fixture(autouse=True)
def everything_runs_before_and_after(mesh):
    yield
    if mesh.topology.controller.exit_code is not None:
        mesh.topology.start_controller()
    for node in mesh.nodes:
        if node.agent.exit_code is not None:
            node.start_agent()
    wait_until(lambda: "address" in whoami(mesh.client, mesh.address), "traffic flows", 20)


def served(place, mesh):
    return whoami(place, mesh.address).get("address") == str(place.address())


def saved(node, name):
    """Whether the state on the node's disk names it."""
    file = node.state_dir / "state"
    return file.exists() and name.encode() in file.read_bytes()


def stop_controller(mesh):
    mesh.topology.controller.stop()


def certificates(node):
    """Serial numbers by identity, as the admin port shows them."""
    return json.dumps(json.loads(node.run(["curl", "-sS", "http://127.0.0.1:15000/debug/certificates"]).stdout),
                      sort_keys=True)


def fingerprints(node):
    folder = node.run_dir / "certificates"
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.iterdir() if path.is_file()}


def test_a_killed_agent_means_refused_connects_and_a_restarted_one_serves(mesh):
    node = mesh.client.node
    prober = Prober(mesh.client, mesh.address, HTTP_PORT)
    prober.wait_for(lambda outcome: outcome == "ok", 0, "a first answer")
    killed = time.monotonic_ns()
    node.agent.kill()
    refused, _ = prober.wait_for(lambda outcome: outcome == "ECONNREFUSED", killed, "a refused connect")
    started = time.monotonic_ns()
    node.start_agent()
    again, _ = prober.wait_for(lambda outcome: outcome == "ok", started, "an answer again")
    outcomes = {outcome for at, outcome in prober.tries(refused) if at < started}
    prober.stop()
    print(f"refused {(refused - killed) / 1e6:.0f} ms after SIGKILL, "
          f"served {(again - started) / 1e6:.0f} ms after start")
    assert outcomes == {"ECONNREFUSED"}
    assert (again - started) / 1e9 < 3


@pytest.mark.parametrize("side", ["client", "server"])
def test_connections_of_a_killed_agent_end_with_a_reset(mesh, side):
    """At both applications, whoever's agent it was: a stream that was cut must not look complete."""
    node = getattr(mesh, side).node
    keeper = start(mesh.client, "keep", mesh.address, PORT, 5, f"hold_crash-{side}-#")
    wait_said(keeper, "open")
    node.agent.kill()
    wait_until(lambda: sum("ended" in each for each in said(keeper)) == 5, "the connections end", 15)
    assert {each["ended"] for each in said(keeper) if "ended" in each} == {"ECONNRESET"}
    node.start_agent()
    assert {report(mesh.client, mesh.address, f"crash-{side}-{number}") for number in range(5)} == {"ECONNRESET"}


def test_certificates_survive_a_restart_of_the_agent(mesh):
    node = mesh.client.node
    before, files = certificates(node), fingerprints(node)
    assert principal("client") in before and files
    stop_controller(mesh)  # So none can be fetched.
    node.agent.kill()
    node.start_agent()
    assert fingerprints(node) == files
    assert certificates(node) == before
    assert served(mesh.client, mesh)


def test_nodes_go_on_without_the_controller_also_after_a_restart(mesh):
    mesh.policy("deny-legacy", "ALLOW", {"app": "server"}, [principal("client")])
    wait_until(lambda: not served(mesh.legacy, mesh), "the policy has effect")
    wait_until(lambda: all(saved(node, "deny-legacy") for node in mesh.nodes), "the policy is on the nodes' disks")
    stop_controller(mesh)
    assert served(mesh.client, mesh) and not served(mesh.legacy, mesh)
    for node in mesh.nodes:
        node.agent.kill()
    for node in mesh.nodes:
        node.start_agent()
    wait_until(lambda: served(mesh.client, mesh), "traffic flows with the state on disk")
    assert not served(mesh.legacy, mesh)
    # What changes while it is away takes effect when it is back.
    mesh.config.remove("deny-legacy")
    mesh.topology.start_controller()
    wait_until(lambda: served(mesh.legacy, mesh), "the new state has effect", 30)


def test_what_the_kernel_refuses_follows_the_state_after_a_restart(mesh):
    """A policy that came after the agent's last save, and went while the agent was away: no message tells of it."""
    node = mesh.server.node
    state = node.state_dir / "state"
    wait_until(lambda: saved(node, mesh.server.spec.uid) and not saved(node, "deny-legacy"), "the state is on disk")
    before = state.read_bytes()
    mesh.policy("short-lived", "ALLOW", {"app": "server"}, [principal("client")])
    wait_until(lambda: whoami(mesh.legacy, mesh.address) == {"error": "ECONNREFUSED"}, "the kernel refuses")
    stop_controller(mesh)
    node.agent.kill()
    state.write_bytes(before)
    mesh.config.remove("short-lived")
    node.start_agent()
    wait_until(lambda: served(mesh.legacy, mesh), "the kernel refuses no more")


def test_until_a_state_is_there_inbound_is_refused(mesh):
    """An agent whose state is lost, while the controller is away: nobody can say who may connect."""
    node = mesh.server.node
    stop_controller(mesh)
    node.agent.kill()
    shutil.rmtree(node.state_dir)
    node.state_dir.mkdir()
    node.agent = node.spawn([mesh.topology.binary("heddle-agent"), *flags.agent(node)], "heddle-agent")
    wait_until(lambda: node.http_status("http://127.0.0.1:15021/healthz/ready") == 500, "the agent runs, not ready")
    asked = [start(place, "ask", mesh.address, PORT, "whoami") for place in (mesh.legacy, mesh.client) * 3]
    wait_until(lambda: all(each.exit_code is not None for each in asked), "all are told no", 20)
    assert all("error" in answer for each in asked for answer in said(each)) and all(map(said, asked))
    mesh.topology.start_controller()
    wait_until(node.agent_is_ready, "the agent has its state", 30)
    wait_until(lambda: served(mesh.legacy, mesh) and served(mesh.client, mesh), "both are served", 20)


def test_a_pod_does_not_start_while_the_agent_is_away(mesh):
    node = mesh.client.node
    spec = PodSpec("early", "shop")
    mesh.config.put_pod(spec, node.name)
    node.agent.kill()
    with pytest.raises(CniError) as refusal:
        node.add_pod(spec)
    assert refusal.value.code == 11
    outsider = node.add_pod(PodSpec("outsider", "outside"))  # Known not to be enrolled: it may.
    outsider.remove()
    node.start_agent()
    pod = mesh.topology.start_pod(node, spec)
    assert served(pod, mesh)
    mesh.remove(pod)


def test_a_pod_that_was_deleted_while_the_agent_was_away_is_let_go(mesh):
    node = mesh.client.node
    pod = mesh.pod("forgotten", 0)
    node.agent.kill()
    mesh.remove(pod)
    node.start_agent()
    wait_until(lambda: "forgotten" not in json.dumps(mesh.admin(node, "/debug/pods")), "it is let go", 20)
    pods = node.run(["bpftool", "map", "dump", "pinned", node.pin_dir / "maps" / "hd_pods"]).stdout
    assert "shop/forgotten" not in pods and "shop/client" in pods


def test_an_agent_that_is_told_to_end_leaves_the_capture(mesh):
    node = mesh.client.node
    node.agent.signal(signal.SIGTERM)
    wait_until(lambda: node.agent.exit_code is not None, "the agent ends", 35)
    assert node.agent.exit_code == 0
    assert call(mesh.client, "special", mesh.address, PORT, "plain") == {"error": "ECONNREFUSED"}


def test_an_agent_that_cannot_answer_the_plugin_ends_and_says_why(mesh):
    node = mesh.client.node
    node.agent.stop()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as other:
        other.bind(str(node.run_dir / "cni.sock"))
        other.listen()
        node.agent = node.spawn([mesh.topology.binary("heddle-agent"), *flags.agent(node)], "heddle-agent")
        wait_until(lambda: node.agent.exit_code is not None, "the agent ends", 15)
    assert node.agent.exit_code == 1
    assert "cannot listen on" in node.agent.output() and "cni.sock" in node.agent.output()


def settings(node):
    """The bytes of hd_cfg, of which the first four are the version of the schema, in every version."""
    dump = node.run(["bpftool", "-j", "map", "dump", "pinned", node.pin_dir / "maps" / "hd_cfg"]).stdout
    return [int(byte, 16) for byte in json.loads(dump)[0]["value"]]


@contextlib.contextmanager
def of_a_newer_release(node):
    """As after a rollback: the pins are those of a program whose maps have another layout."""
    def write(version):
        value = [*version.to_bytes(4, "little"), *settings(node)[4:]]
        node.run(["bpftool", "map", "update", "pinned", node.pin_dir / "maps" / "hd_cfg", "key", *"0000",
                  "value", *map(str, value)])

    ours = settings(node)[0]
    write(ours + 1)
    yield ours
    write(ours)


def test_a_rollback_over_another_schema_is_refused_with_a_sentence_and_nothing_is_touched(mesh):
    node = mesh.client.node
    pins = sorted(node.pin_dir.rglob("*"))
    node.agent.stop()
    with of_a_newer_release(node) as ours:
        agent = node.spawn([mesh.topology.binary("heddle-agent"), *flags.agent(node)], "heddle-agent")
        wait_until(lambda: agent.exit_code is not None, "the agent ends", 15)
        assert agent.exit_code == 1 and f"schema version {ours + 1}" in agent.output()
        assert "heddlectl purge" in agent.output()
        assert sorted(node.pin_dir.rglob("*")) == pins
        assert call(mesh.client, "special", mesh.address, PORT, "plain") == {"error": "ECONNREFUSED"}
    node.start_agent()  # The release that made them goes on where it was.
    wait_until(lambda: served(mesh.client, mesh), "traffic flows", 20)


def test_a_restarted_controller_keeps_its_root_and_its_nodes(mesh):
    root = (mesh.topology.controller_dir / "root-cert.pem").read_bytes()
    stop_controller(mesh)
    mesh.topology.start_controller()
    assert (mesh.topology.controller_dir / "root-cert.pem").read_bytes() == root
    pod = mesh.pod("after-restart", 0)
    assert served(pod, mesh)
    serve(pod)
    mesh.wait_meshed(mesh.client, pod)
    mesh.remove(pod)
