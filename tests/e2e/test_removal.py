"""The mesh leaves a cluster in order, under traffic: not a connect fails, nothing of it is left, it can come back."""

import json

import pytest
from mesh import PORT, answers, running, said, serve, start, tunnels, wait_said
from topology import mesh_objects as objects
from topology import Timeout, wait_until

TRAFFIC_SECONDS = 25
PLUGIN = "heddle-cni"
PROFILE = "profile.json"  # A file of the node that goes when the mesh has left it.


@pytest.fixture
def mesh():
    # Plaintext between pods of the mesh is what this is about.
    with running(installs=True, leaks_expected=None) as mesh:
        mesh.config.put("strict", objects.peer_authentication("strict", "shop", "STRICT"))
        mesh.policy("only-client", "ALLOW", {"app": "server"}, ["cluster.local/ns/shop/sa/client"])
        mesh.client, mesh.server = mesh.client_and_server()
        yield mesh


def ask(mesh, **data):
    mesh.config.put("removal", objects.config_map("heddle-removal", "heddle-system", data))


def progress(mesh):
    done = mesh.topology.control.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15014/debug/removal"])
    return json.loads(done.stdout)


def wait_gone(mesh, seconds=60):
    try:
        wait_until(lambda: progress(mesh).get("phase") == "gone", "the mesh is gone", seconds)
    except Timeout as timeout:
        raise AssertionError(f"{timeout}: {progress(mesh)}") from None


def entries(node):
    return [plugin for plugin in json.loads(node.cni_conf_file.read_text())["plugins"] if plugin["type"] == PLUGIN]


def traffic(mesh):
    chat = start(mesh.client, "chat", str(mesh.server.address()), PORT, TRAFFIC_SECONDS)
    hammer = start(mesh.client, "hammer", str(mesh.server.address()), PORT, TRAFFIC_SECONDS, 0.005)
    wait_said(chat, "open")
    wait_said(hammer, "started")
    return chat, hammer


def judge(chat, hammer):
    wait_said(chat, "exchanges", TRAFFIC_SECONDS + 20)
    result = wait_said(hammer, "ok", TRAFFIC_SECONDS + 20)
    print(result, said(chat))
    assert said(chat)[-1]["exchanges"] > 100
    assert result["ok"] > 100 and result["failed"] == 0, result


def bare(pod):
    """Nothing of a capture is left in the pod: listeners, settings, the rule of marked delivery."""
    listens = pod.run(["ss", "-Hltn"]).stdout
    rules = pod.run(["ip", "rule"]).stdout
    mark = pod.run(["sysctl", "-n", "net.ipv4.tcp_fwmark_accept"]).stdout.strip()
    return not any(f":{port} " in listens for port in (15001, 15006, 15008)) and "0x539" not in rules and mark == "0"


def test_under_traffic(mesh):
    """STRICT, an ALLOW policy, a chat that is open all the time and a connect every few milliseconds."""
    before = {node: node.cni_conf_file.read_text() for node in mesh.nodes}
    chat, hammer = traffic(mesh)
    ask(mesh, drainSeconds=TRAFFIC_SECONDS + 30)
    wait_until(lambda: all(not entries(node) for node in mesh.nodes), "the chains are left", 30)
    newcomer = mesh.pod("newcomer", 0)  # An enrolled namespace, and no plugin is asked.
    serve(newcomer)
    judge(chat, hammer)
    wait_gone(mesh)
    assert answers(mesh.client, mesh.server) and answers(newcomer, mesh.server) and answers(mesh.client, newcomer)
    assert not tunnels(mesh.client, mesh.server)
    assert all(bare(pod) for pod in (mesh.client, mesh.server, newcomer))
    stub = mesh.topology.binary("heddle-cni-stub").read_bytes()
    for node in mesh.nodes:
        assert not node.pin_dir.exists()
        assert node.cni_conf_file.read_text() != before[node] and PLUGIN not in node.cni_conf_file.read_text()
        assert (node.cni_bin_dir / PLUGIN).read_bytes() == stub
        assert node.agent_is_ready()
    mesh.server.remove()  # Its DEL names the plugin.
    for node in mesh.nodes:
        assert node.agent.stop(20) == 0
        assert not node.run_dir.exists() and not node.state_dir.exists()
        assert "nothing of Heddle is left" in ctl(mesh, node, "check", "--purged").stdout


def take(mesh, node):
    """What the hook before the agent's end says."""
    ctl = mesh.topology.binary("heddlectl")
    return node.run([ctl, "--run-dir", node.run_dir, "take-file", node.dir / PROFILE]).stdout


def test_taken_back(mesh):
    """While pods leave, and after everything has gone: all is captured again, by the agents that run."""
    held = start(mesh.client, "keep", str(mesh.server.address()), PORT, 1, "hold_held")
    wait_said(held, "open")
    ask(mesh, drainSeconds=1000)
    wait_until(lambda: all(not entries(node) for node in mesh.nodes), "the chains are left", 30)
    assert progress(mesh)["phase"] == "release"
    mesh.config.remove("removal")
    wait_until(lambda: all(entries(node) for node in mesh.nodes), "the entries are back", 30)
    mesh.wait_meshed(mesh.client, mesh.server)
    assert not any("ended" in each for each in said(held))
    held.stop()
    files = [node.dir / PROFILE for node in mesh.nodes]
    for file in files:
        file.write_text("{}")
    assert all("has not left" in take(mesh, node) for node in mesh.nodes) and all(file.exists() for file in files)
    ask(mesh, drainSeconds=0)
    wait_gone(mesh)
    assert "is removed" in take(mesh, mesh.nodes[0]) and not files[0].exists()
    mesh.config.remove("removal")
    wait_until(lambda: all(entries(node) for node in mesh.nodes), "the entries are back", 30)
    mesh.wait_meshed(mesh.client, mesh.server)
    assert "has not left" in take(mesh, mesh.nodes[1]) and files[1].exists()
    plugin = mesh.topology.binary(PLUGIN).read_bytes()
    assert all((node.cni_bin_dir / PLUGIN).read_bytes() == plugin for node in mesh.nodes)


def test_a_node_without_its_agent_is_waited_for(mesh):
    """It has captured pods: nobody relaxes past it, and the next agent lets go."""
    away = mesh.server.node
    away.agent.kill()
    ask(mesh, drainSeconds=0)
    waits = "waiting: its agent is not connected"
    wait_until(lambda: progress(mesh).get(f"node.{away.name}") == waits, "it is named", 20)
    assert progress(mesh)["phase"] == "relax" and entries(mesh.client.node)
    away.start_agent()
    wait_gone(mesh)
    assert answers(mesh.client, mesh.server)


def test_a_restarted_controller_goes_on(mesh):
    ask(mesh, drainSeconds=0)
    mesh.topology.controller.kill()
    mesh.topology.start_controller()
    wait_gone(mesh)
    assert answers(mesh.client, mesh.server) and not tunnels(mesh.client, mesh.server)
    mesh.topology.controller.kill()
    mesh.topology.start_controller()
    wait_gone(mesh)
    assert all(not node.pin_dir.exists() for node in mesh.nodes)


def ctl(mesh, node, *command, check=True):
    """heddlectl as a person runs it on that node."""
    return node.run([mesh.topology.binary("heddlectl"), "--run-dir", node.run_dir, *command,
                     "--state-dir", node.state_dir, "--pin-dir", node.pin_dir,
                     "--cgroup", str(node.cgroup_root.path), "--cni-conf-dir", node.cni_conf_file.parent,
                     "--cni-bin-dir", node.cni_bin_dir], check=check)


def test_purge(mesh):
    """The agents are killed and do not come back: each node is taken out by hand, twice."""
    for node in mesh.nodes:
        refused = ctl(mesh, node, "purge", check=False)
        assert refused.returncode == 1 and "an agent is alive" in refused.stderr
    for node in mesh.nodes:
        node.agent.kill()
        left = ctl(mesh, node, "check", "--purged", check=False)
        assert left.returncode == 1
        for trace in ("program hd_connect4 is attached", "program hd_sk_lookup is attached", "pins in",
                      "an entry of heddle-cni in", "is not the stub", "enroll.json"):
            assert trace in left.stdout, left.stdout
    for node in mesh.nodes:
        print(ctl(mesh, node, "purge").stdout)
        assert ctl(mesh, node, "purge").stdout == "there was nothing to do\n"
        assert "nothing of Heddle is left" in ctl(mesh, node, "check", "--purged").stdout
    assert all(bare(pod) for pod in (mesh.client, mesh.server))
    assert answers(mesh.client, mesh.server) and not tunnels(mesh.client, mesh.server)
    newcomer = mesh.pod("newcomer", 0)
    serve(newcomer)
    assert answers(mesh.client, newcomer)
    mesh.remove(mesh.server)  # By the stub.
    mesh.client.node.start_agent()  # A new install.
    wait_until(lambda: entries(mesh.client.node), "it is in the chain again", 20)
