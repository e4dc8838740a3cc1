"""Pods that run already are taken into the mesh and let go again, by labels alone, under traffic."""

import itertools

import pytest
from mesh import PORT, answers, call, report, running, said, serve, start, tunnels, wait_said, whoami
from topology import mesh_objects as objects
from topology import wait_until
from topology.objects import pod_object

LABEL = "istio.io/dataplane-mode"
TRAFFIC_SECONDS = 12
COUNT = itertools.count(1)


@pytest.fixture(scope="module")
def mesh():
    with running() as mesh:
        yield mesh


class Late:
    """A namespace that is not enrolled, with a client and a server that run and talk."""

    def __init__(self, mesh, name):
        self.mesh, self.name = mesh, name
        self.label(False)
        self.client = mesh.pod(f"{name}-client", 0, name)
        self.server = mesh.pod(f"{name}-server", 1, name)
        self.address = str(self.server.address())
        serve(self.server)
        start(self.client, "keep", self.address, PORT, 1, f"hold_{name}")  # A process of the client, all the time.
        wait_until(lambda: answers(self.client, self.server), "they talk")
        assert not tunnels(self.client, self.server)

    def label(self, enrolled):
        self.mesh.config.put(f"namespace-{self.name}", objects.namespace(self.name, enrolled))

    def remove(self):
        self.mesh.remove(self.client)
        self.mesh.remove(self.server)


@pytest.fixture
def late(mesh):
    late = Late(mesh, f"late{next(COUNT)}")
    yield late
    late.remove()


def status(mesh, pod):
    """What the agent says of the pod; empty: it does not know of it."""
    pods = mesh.admin(pod.node, "/debug/pods")
    return next((each for each in pods if each["uid"] == pod.spec.uid), {})


def captured(mesh, pod):
    return status(mesh, pod).get("captured", False)


def in_kernel(pod):
    dump = pod.node.run(["bpftool", "map", "dump", "pinned", pod.node.pin_dir / "maps" / "hd_pods"]).stdout
    return f"{pod.spec.namespace}/{pod.name}" in dump or pod.spec.uid in dump


def metric(node, name):
    lines = node.run(["curl", "-sS", "http://127.0.0.1:15020/metrics"]).stdout.splitlines()
    return next(float(line.split()[-1]) for line in lines if line.split()[:1] == [name])


def wait_captured(mesh, *pods, seconds=10):
    wait_until(lambda: all(captured(mesh, pod) for pod in pods), "they are captured in place", seconds)


def wait_inbound_taken(mesh, pod):
    """The last step: policy is asked about plaintext to the pod. The link's pin is made with it."""
    link = pod.node.pin_dir / "links" / "netns" / str(status(mesh, pod)["netnsCookie"])
    wait_until(link.exists, f"inbound connections of {pod.name} are taken", 15)


def put_pod(mesh, pod, labels=None, annotations=None):
    """The pod's object with other labels, as after `kubectl label`."""
    pod.spec.labels = labels if labels is not None else pod.spec.labels
    made = pod_object(pod.spec, pod.node.name, pod.addresses)
    if annotations:
        made["metadata"]["annotations"] = annotations
    mesh.config.put(f"pod-{pod.spec.namespace}-{pod.name}", made)


def traffic(late):
    """(one connection with data in both directions, a connect every few milliseconds); each ends by itself."""
    chat = start(late.client, "chat", late.address, PORT, TRAFFIC_SECONDS)
    hammer = start(late.client, "hammer", late.address, PORT, TRAFFIC_SECONDS, 0.005)
    wait_said(chat, "open")
    wait_said(hammer, "started")
    return chat, hammer


def judge(chat, hammer):
    """No exchange and no connect failed."""
    wait_said(chat, "exchanges", TRAFFIC_SECONDS + 20)
    result = wait_said(hammer, "ok", TRAFFIC_SECONDS + 20)
    print(result, said(chat))
    assert said(chat)[-1]["exchanges"] > 100
    assert result["ok"] > 100 and result["failed"] == 0, result


@pytest.mark.parametrize("mode", ["PERMISSIVE", "STRICT"])
def test_labelled_namespace(mesh, late, mode):
    """Captured within 10 s; not a connect refused; what was open goes on as it was; what is new goes by HBONE."""
    late.mesh.config.put("peers", objects.peer_authentication("peers", late.name, mode))
    before = metric(late.client.node, "heddle_connections_open_before_capture_total")
    keeper = start(late.client, "keep", late.address, PORT, 5, f"hold_{late.name}-#")
    wait_said(keeper, "open")
    chat, hammer = traffic(late)
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    mesh.wait_meshed(late.client, late.server)
    wait_inbound_taken(mesh, late.server)
    judge(chat, hammer)
    assert not any("ended" in each for each in said(keeper))
    assert metric(late.client.node, "heddle_connections_open_before_capture_total") - before >= 7
    assert metric(late.client.node, "heddle_capture_gaps") == 0
    outsider = mesh.pod("outsider", 0, "outside")
    answer = whoami(outsider, late.address)
    assert ("error" in answer) == (mode == "STRICT"), answer
    mesh.remove(outsider)
    mesh.config.remove("peers")


def test_unlabelled_namespace(mesh, late):
    """Not a connect fails; what the mesh carries goes on until it ends; then nothing is left."""
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    mesh.wait_meshed(late.client, late.server)
    keeper = start(late.client, "keep", late.address, PORT, 5, f"hold_{late.name}-#")
    wait_said(keeper, "open")
    chat, hammer = traffic(late)
    late.label(False)
    wait_until(lambda: all(status(mesh, pod).get("leaving") for pod in (late.client, late.server)), "they leave")
    judge(chat, hammer)  # Longer than those are waited for who have not heard of it.
    assert not any("ended" in each for each in said(keeper))
    assert status(mesh, late.client)["leaving"] and status(mesh, late.server)["leaving"]
    keeper.stop()
    wait_until(lambda: not status(mesh, late.client) and not status(mesh, late.server), "they are let go", 40)
    assert {report(late.client, late.address, f"{late.name}-{number}") for number in range(5)} == {"EOF after 0"}
    for pod in (late.client, late.server):
        assert not in_kernel(pod)
        assert not pod.run(["ip", "rule", "list", "priority", "32764"]).stdout
        assert ":15008 " not in pod.run(["ss", "-Hltn"]).stdout
    assert answers(late.client, late.server) and not tunnels(late.client, late.server)


def test_ports_that_were_used_a_moment_ago(mesh, late):
    """Every port from which the agent may dial for a client is in TIME_WAIT at the application, and serves again."""
    family = "-6" if ":" in late.address else "-4"
    for command in (["rule", "add", "fwmark", "0x539/0xfff", "lookup", "100", "priority", "32764"],
                    ["route", "add", "local", "default", "dev", "lo", "table", "100"]):
        late.server.run(["ip", family, *command])
    used = call(late.server, "use_up", late.address, PORT + 1, str(late.client.address()), PORT)
    assert used == {"done": True}
    serve(late.server, PORT + 1)
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    mesh.wait_meshed(late.client, late.server)
    assert call(late.client, "churn", late.address, PORT + 1, 200).get("exchanges") == 200
    remembered = late.server.run(["ss", family, "-Htan", "state", "time-wait", "sport", f":{PORT + 1}"]).stdout
    assert len(remembered.splitlines()) > 60000


def test_by_pod(mesh, late):
    """A pod's own label counts more than its namespace's, in both directions."""
    put_pod(mesh, late.server, {"app": "x", LABEL: "ambient"})
    wait_captured(mesh, late.server)
    assert not status(mesh, late.client)
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    put_pod(mesh, late.server, {"app": "x", LABEL: "none"})
    wait_until(lambda: status(mesh, late.server).get("leaving"), "it leaves")
    wait_until(lambda: not status(mesh, late.server), "it is let go", 40)
    assert captured(mesh, late.client)
    assert answers(late.client, late.server)


def test_changed_mind(mesh, late):
    """Enrolled again while it leaves: it stays, and no connection notices."""
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    mesh.wait_meshed(late.client, late.server)
    chat, hammer = traffic(late)
    late.label(False)
    wait_until(lambda: status(mesh, late.server).get("leaving"), "it leaves")
    late.label(True)
    wait_until(lambda: captured(mesh, late.server) and not status(mesh, late.server).get("leaving"), "it stays")
    judge(chat, hammer)
    mesh.wait_meshed(late.client, late.server)


def test_restarted_agent(mesh, late):
    """The next agent serves what was captured in place; its DEL leaves nothing."""
    late.label(True)
    wait_captured(mesh, late.client, late.server)
    mesh.wait_meshed(late.client, late.server)
    for pod in (late.client, late.server):
        pod.node.agent.kill()
        pod.node.start_agent()
        assert captured(mesh, pod)
    assert answers(late.client, late.server) and tunnels(late.client, late.server)
    extra = Late(mesh, "gone")
    extra.label(True)
    wait_captured(mesh, extra.client, extra.server)
    extra.remove()
    assert not in_kernel(extra.client) and not in_kernel(extra.server)


def test_started_while_the_agent_was_away(mesh, late):
    """A namespace that was not enrolled then: its pods started, and are captured in place by the next agent."""
    node = late.client.node
    uid = late.client.spec.uid.encode()
    wait_until(lambda: uid in (node.state_dir / "state").read_bytes(), "what it knows is on disk")
    node.agent.kill()
    pod = mesh.pod("slipped", 0, late.name)
    serve(pod)
    late.label(True)
    node.start_agent()
    wait_captured(mesh, late.client, pod)
    assert answers(late.client, pod)
    assert metric(node, "heddle_pods_captured_running_total") == 2
    # Of the other one it knows from before that it was not enrolled.
    assert metric(node, "heddle_pods_faster_than_agent_total") == 1
    mesh.remove(pod)


def test_other_cgroup(mesh, late):
    """Processes that are in no cgroup of the pod cannot be found: that is a gap, and said once."""
    node = late.client.node
    pod = mesh.pod("homeless", 0, late.name)
    own, pod.cgroup = pod.cgroup, node.pods_cgroup.child("nobody")
    try:
        serve(pod)
        late.label(True)
        wait_until(lambda: "no process of it was found" in status(mesh, pod).get("problem", ""), "it is named", 15)
        wait_until(lambda: metric(node, "heddle_capture_gaps") == 1, "it is a gap", 15)
        lines = node.agent.output().splitlines()
        assert len([line for line in lines if "pod.uncaptured" in line and pod.name in line]) == 1
        assert not captured(mesh, pod) and captured(mesh, late.client)
    finally:
        pod.stop_all()
        pod.cgroup.remove()
        pod.cgroup = own
        mesh.remove(pod)
    wait_until(lambda: metric(node, "heddle_capture_gaps") == 0, "the gap is closed", 15)


def test_other_mesh(mesh, late):
    """By its annotation; and by its ports, where a proxy is that no annotation tells of."""
    node = late.server.node
    annotated = mesh.pod("annotated", 1, late.name)
    put_pod(mesh, annotated, annotations={"sidecar.istio.io/status": "injected"})
    occupied = mesh.pod("occupied", 1, late.name)
    serve(annotated)
    serve(occupied)
    serve(occupied, 15006)
    late.label(True)
    wait_until(lambda: "15006 is taken" in status(mesh, occupied).get("problem", ""), "it is named", 15)
    wait_captured(mesh, late.client, late.server)
    assert not status(mesh, annotated) and not in_kernel(occupied)
    assert answers(late.client, occupied) and answers(late.client, annotated)
    assert call(occupied, "ask", str(late.client.address()), 9, "whoami") == {"error": "ECONNREFUSED"}
    wait_until(lambda: metric(node, "heddle_capture_gaps") == 1, "it is a gap", 15)
    mesh.remove(annotated)
    mesh.remove(occupied)
