"""The agent puts heddle-cni into the chain of its node by itself, keeps it there, and what it leaves behind decides."""

import json

import pytest
from mesh import running
from topology import CniError, PodSpec, wait_until
from topology import mesh_objects as objects

MODE = "istio.io/dataplane-mode"


@pytest.fixture(scope="module")
def mesh():
    with running(installs=True) as mesh:
        mesh.config.put("calm", objects.namespace("calm", False))
        mesh.before = {node.name: json.dumps(node._conflist(), indent=2) for node in mesh.nodes}
        mesh.client, mesh.server = mesh.client_and_server()
        yield mesh


def entries(node):
    plugins = json.loads(node.cni_conf_file.read_text())["plugins"]
    return [plugin for plugin in plugins if plugin["type"] == "heddle-cni"]


def captured(mesh, pod):
    pods = mesh.admin(pod.node, "/debug/pods")
    return any(pod.spec.uid in json.dumps(each) for each in (pods if isinstance(pods, list) else pods["pods"]))


def overwrite(node, text):
    """As another program does it: beside, then renamed."""
    beside = node.cni_conf_file.with_suffix(".tmp")
    beside.write_text(text)
    beside.rename(node.cni_conf_file)


def metric(node, line):
    return line in node.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout


def readiness(node):
    return node.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15021/healthz/ready"]).stdout


def test_pods_started_through_the_installed_chain_are_in_the_mesh(mesh):
    """That client and server reach each other through a tunnel is the fixture's; here: what was done for it."""
    for node in mesh.nodes:
        assert entries(node) == [{"type": "heddle-cni", "runDir": str(node.run_dir),
                                  "exemptNamespaces": ["kube-system", "heddle-system"]}]
        rest = mesh.before[node.name].removesuffix("\n    }\n  ]\n}")
        assert node.cni_conf_file.read_text().startswith(rest)
        plugin = node.cni_bin_dir / "heddle-cni"
        assert plugin.read_bytes() == mesh.topology.binary("heddle-cni").read_bytes()
        assert [path.name for path in node.cni_conf_file.parent.iterdir()] == [node.cni_conf_file.name]
    assert captured(mesh, mesh.client)


def test_what_another_program_overwrites_is_repaired(mesh):
    node = mesh.nodes[0]
    overwrite(node, mesh.before[node.name])
    wait_until(lambda: entries(node), "the entry is back")
    wait_until(lambda: metric(node, 'heddle_cni_repairs_total{what="configuration"} 1'), "the repair is counted")
    pod = mesh.pod("after-repair", 0)
    assert captured(mesh, pod)
    mesh.remove(pod)


def test_a_deleted_plugin_is_put_back(mesh):
    node = mesh.nodes[0]
    (node.cni_bin_dir / "heddle-cni").unlink()
    wait_until(lambda: (node.cni_bin_dir / "heddle-cni").exists(), "the plugin is back", 20)
    mesh.remove(mesh.pod("after-delete", 0))


def test_readiness_says_that_there_is_no_configuration(mesh):
    node = mesh.nodes[1]
    node.cni_conf_file.unlink()
    wait_until(lambda: "CNI configuration (there is no valid configuration" in readiness(node), "it says so", 20)
    overwrite(node, mesh.before[node.name])
    wait_until(lambda: readiness(node) == "ready\n", "the agent is ready again", 20)
    assert entries(node)


def may_start(mesh, node, namespace, name):
    """Whether the chain lets a pod start; it is gone afterwards."""
    mesh.topology.config.put_pod(spec := PodSpec(name, namespace), node.name)
    try:
        node.add_pod(spec).remove()
        return True
    except CniError as refusal:
        assert refusal.code == 11, refusal
        return False
    finally:
        mesh.config.remove(f"pod-{namespace}-{name}")


def test_without_the_agent_only_pods_that_are_surely_outside_start(mesh):
    """A namespace that had one pod with a label of its own counts as mixed, also for the next agent."""
    node = mesh.nodes[0]
    for namespace in ("calm", "outside"):
        mesh.pod(f"first-{namespace}", 0, namespace)
    spec = PodSpec("own-label", "outside", labels={MODE: "ambient"})
    special = mesh.topology.start_pod(node, spec)
    assert captured(mesh, special)
    mesh.remove(special)

    def enrollment():
        return json.loads((node.run_dir / "enroll.json").read_text())["namespaces"]
    wanted = {"shop": "enrolled", "calm": "none", "outside": "mixed"}
    wait_until(lambda: enrollment() == wanted, f"enroll.json says {wanted}")
    for _ in range(2):
        node.agent.stop()
        assert entries(node)
        for namespace, expected in (("shop", False), ("outside", False), ("unheard-of", False), ("calm", True),
                                    ("kube-system", True)):
            assert may_start(mesh, node, namespace, f"alone-{namespace}") == expected, namespace
        node.start_agent()
        wait_until(lambda: enrollment() == wanted, "the next agent says the same")
