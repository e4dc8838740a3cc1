"""The steps of the demo. Each takes the scene, checks what it claims, and returns one line of what was observed."""

import json
import os
import signal
import time

from topology import CommandFailed, wait_until
from topology import mesh_objects as objects
from topology.applications import PORT, Holder, Prober, get, url
from topology.capture import Capture
from topology.process import run

from .scene import SERVICE_IP, principal


class Untrue(Exception):
    """A step observed something else than it should."""


def expect(condition, sentence):
    if not condition:
        raise Untrue(sentence)


def milliseconds(nanoseconds):
    return f"{nanoseconds / 1e6:.0f} ms"


def service_is_reached(scene):
    seen = scene.ask_service()
    expect(seen == str(scene.client.address()), f"the server saw {seen}")
    return f"client {seen} on node1 asked {SERVICE_IP}:80; {scene.server.address()} on node2 answered and saw {seen}"


def _send(pod, host, port, marker):
    pod.run(["curl", "-sS", "-m", "10", "-d", marker, url(host, "/", port)])


def link_shows_only_tls(scene):
    topology = scene.topology
    marker = os.urandom(32).hex()
    meshed = Capture(topology.control, "node1", topology.dir / "meshed.pcap")
    _send(scene.client, SERVICE_IP, 80, marker)
    meshed.stop(lambda data: b"\x17\x03\x03" in data)  # A TLS application record.
    pair = f"host {scene.client.address()} and host {scene.server.address()}"
    packets, others = meshed.packets(pair), meshed.packets(f"{pair} and not tcp port 15008")
    expect(packets, "no packets between the pods on the link")
    expect(not others, f"packets outside port 15008: {others[:3]}")
    expect(marker.encode() not in meshed.bytes(), "the marker is on the link in plain text")

    plain = Capture(topology.control, "node1", topology.dir / "plain.pcap")
    _send(scene.legacy, scene.open.address(), PORT, marker)
    plain.stop(lambda data: marker.encode() in data)
    return (f"{len(packets)} packets between the pods, all on 15008; the 64-byte marker is not in the capture; "
            "sent by a pod outside the mesh, the same search finds it")


def server_side_knows_the_client(scene):
    log = scene.node_of("server").agent
    identity = f"spiffe://{principal('client')}"
    scene.ask_service()
    line = wait_until(lambda: next((text for text in log.output().splitlines()
                                    if identity in text and str(scene.client.address()) in text), None),
                      "an access log line with the client's identity", 5)
    with_peer = Holder(scene.client, SERVICE_IP, 80)
    sockets = scene.server.run(["ss", "-Htn", "state", "established", f"sport = :{PORT}"]).stdout
    with_peer.stop()
    expect(str(scene.client.address()) in sockets, f"ss in the server pod shows:\n{sockets}")
    field = next(word for word in line.split() if identity in word)
    return f"access log on node2: {field}; ss in the server pod: peer {scene.client.address()}"


def _deny_takes_effect(scene, prober):
    holder = Holder(scene.client, SERVICE_IP, 80)
    written = time.monotonic_ns()
    scene.topology.config.put("deny", objects.authorization_policy(
        "deny-client", "shop", "DENY", {"app": "server"}, [principal("client")]))
    refused, outcome = prober.wait_for(lambda said: said != "ok", written, "a refused connection")
    ended, reason = holder.wait_end()
    expect(outcome == reason == "ECONNRESET", f"new connection: {outcome}; open one: {reason}; both must be reset")
    return refused - written, ended - written


def _allow_takes_effect(scene, prober, service_account, wanted):
    written = time.monotonic_ns()
    scene.topology.config.put("allow", objects.authorization_policy(
        "allow", "shop", "ALLOW", {"app": "server"}, [principal(service_account)]))
    at, _ = prober.wait_for(lambda said: (said == "ok") == wanted, written, f"ALLOW for {service_account} has effect")
    return at - written


def policies_take_effect(scene):
    prober = Prober(scene.client, SERVICE_IP, 80)
    try:
        prober.wait_for(lambda said: said == "ok", 0, "a first answer")
        refused, ended = _deny_takes_effect(scene, prober)
        removed = time.monotonic_ns()
        scene.topology.config.remove("deny")
        prober.wait_for(lambda said: said == "ok", removed, "an answer after the DENY is gone")
        others_only = _allow_takes_effect(scene, prober, "nobody", False)
        client_too = _allow_takes_effect(scene, prober, "client", True)
        scene.topology.config.remove("allow")
    finally:
        prober.stop()
    wait_until(scene.service_answers, "the service answers without policies")
    return (f"DENY: first refused connect after {milliseconds(refused)}, open connection ended after "
            f"{milliseconds(ended)}; "
            f"ALLOW for another: refused after {milliseconds(others_only)}; ALLOW for the client: served after "
            f"{milliseconds(client_too)}")


def strict_and_permissive_differ(scene):
    try:
        get(scene.legacy, scene.server.address())
        raise Untrue("the STRICT pod served a client outside the mesh")
    except CommandFailed as refusal:
        refused = f"curl exit {refusal.code}"
    served = get(scene.legacy, scene.open.address())
    expect(served == str(scene.legacy.address()), f"the PERMISSIVE pod saw {served}")
    for pod in (scene.server, scene.open):
        status = pod.node.http_status(url(pod.address()))
        expect(status == 200, f"the node's probe of {pod.name} got {status}")
    return f"legacy -> STRICT: refused ({refused}); legacy -> PERMISSIVE: served; the node's probe: 200 from both"


def kernel_shows_the_pod(scene):
    pins = scene.client.node.pin_dir
    dump = json.loads(run(["bpftool", "-j", "map", "dump", "pinned", pins / "maps" / "hd_pods"]).stdout)
    text = run(["bpftool", "map", "dump", "pinned", pins / "maps" / "hd_pods"]).stdout
    expect("shop/client" in text, f"hd_pods does not name the pod:\n{text[:500]}")
    line = next(row.strip() for row in text.splitlines() if "shop/client" in row)
    return f"bpftool map dump hd_pods: {len(dump)} pod on node1: {line}"


def agent_may_die(scene):
    node = scene.client.node
    address = scene.client.address()
    prober = Prober(scene.client, SERVICE_IP, 80)
    try:
        prober.wait_for(lambda said: said == "ok", 0, "a first answer")
        killed = time.monotonic_ns()
        node.agent.signal(signal.SIGKILL)
        refused, outcome = prober.wait_for(lambda said: said == "ECONNREFUSED", killed, "a refused connect")
        node.agent.kill()
        started = time.monotonic_ns()
        node.start_agent()
        served, _ = prober.wait_for(lambda said: said == "ok", started, "traffic after the restart")
    finally:
        prober.stop()
    expect(scene.client.address() == address and scene.service_answers(), "the pod changed")
    return (f"SIGKILL: connect() refused after {milliseconds(refused - killed)}; agent started again: traffic after "
            f"{milliseconds(served - started)}, the pods were not touched")


def _connection_counters(node):
    """What the node's agent has counted of connections."""
    lines = node.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout.splitlines()
    return [line for line in lines if line.startswith("istio_tcp_connections_opened_total")]


def outsiders_are_untouched(scene):
    before = _connection_counters(scene.legacy.node)
    expect(before, "the agent shows no connection counters")
    holder = Holder(scene.legacy, scene.open.address(), PORT)
    sockets = scene.legacy.run(["ss", "-Htn", "state", "established"]).stdout
    holder.stop()
    peer = f"{scene.open.address()}:{PORT}"
    expect(peer in sockets and ":15001" not in sockets, f"ss in the pod outside the mesh shows:\n{sockets}")
    text = run(["bpftool", "map", "dump", "pinned", scene.legacy.node.pin_dir / "maps" / "hd_pods"]).stdout
    expect("outside/legacy" not in text, "the pod outside the mesh is in hd_pods")
    expect(_connection_counters(scene.legacy.node) == before, "the agent of its node counted the connection")
    return f"ss in the pod: peer {peer}; it is not in hd_pods, and its node's {len(before)} connection counters stayed"


STEPS = (
    ("a", "a Service address reaches a pod on the other node", service_is_reached),
    ("b", "the link between the nodes carries only mutual TLS", link_shows_only_tls),
    ("c", "the server's side knows who the client is", server_side_knows_the_client),
    ("d", "policies take effect when their file is written", policies_take_effect),
    ("e", "STRICT refuses outsiders, PERMISSIVE serves them, probes reach both", strict_and_permissive_differ),
    ("f", "the kernel's map shows the pod by name", kernel_shows_the_pod),
    ("g", "the agent is killed and comes back", agent_may_die),
    ("h", "a pod that is not in the mesh is untouched", outsiders_are_untouched),
)
