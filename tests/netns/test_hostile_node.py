"""Hostile input on the node (CNI socket, the plugin's stdin, ADD) and in the configuration harms nobody else."""

import errno
import json
import os
import socket
import subprocess

import pytest
from mesh import PORT, call, principal, running, said, serve, start, wait_said, whoami
from topology import CniError, PodSpec, wait_until
from topology import mesh_objects as objects
from topology.netns import Netns


@pytest.fixture(scope="module")
def mesh():
    with running(nodes=1) as mesh:
        mesh.node = mesh.nodes[0]
        mesh.harmed_by = None
        mesh.client, mesh.server = mesh.pod("client"), mesh.pod("server")
        serve(mesh.server)
        mesh.address = str(mesh.server.address())
        mesh.wait_meshed(mesh.client, mesh.server)
        yield mesh


@pytest.fixture(autouse=True)
def everything_else_goes_on(mesh, request):
    """Around each test: a connection stays open, the programs run, pods come and go."""
    assert mesh.harmed_by is None, f"the mesh was harmed by {mesh.harmed_by}"
    mesh.harmed_by = request.node.name
    programs = [mesh.topology.controller, mesh.node.agent]
    keeper = start(mesh.client, "keep", mesh.address, PORT, 2, "hold_bystander-#")
    wait_said(keeper, "open")
    yield
    assert said(keeper) == [{"open": 2}]
    keeper.stop()
    assert [process.exit_code for process in programs] == [None, None]
    assert whoami(mesh.client, mesh.address).get("address") == str(mesh.client.address())
    mesh.remove(mesh.pod("newcomer"))
    mesh.harmed_by = None


MESSAGES = {
    "nothing": b"", "random": os.urandom(4000), "not JSON": b"{", "null": b"null", "array": b"[1]",
    "no version": b"{}", "another version": b'{"v":2,"command":"ADD"}', "deep": b"[" * 30000,
    "deep in an object": b'{"v":1,"command":' + b'{"a":' * 8000, "wrong types": b'{"v":1,"command":7,"pod":[]}',
    "unknown command": b'{"v":1,"command":"EXPLODE"}', "NUL": b'{"v":1,"command":"DEL","containerId":"a\\u0000b"}',
    "DEL without a container": b'{"v":1,"command":"DEL"}',
    "ADD without a descriptor": b'{"v":1,"command":"ADD","containerId":"c","ifname":"eth0","netns":"/x"}',
    "path as container": b'{"v":1,"command":"DEL","containerId":"../../etc","ifname":"eth0"}',
    "longer than allowed": b'{"v":1,"x":"' + b"a" * 70000 + b'"}',
    "much longer": b"a" * 200_000,
}


def ask(mesh, message, descriptors=()):
    """The agent's answer to one message on its CNI socket; None when it just closes."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.settimeout(10)
        connection.connect(str(mesh.node.run_dir / "cni.sock"))
        socket.send_fds(connection, [message], list(descriptors))
        answer = connection.recv(65536)
    return json.loads(answer) if answer else None


@pytest.mark.parametrize("what", MESSAGES)
def test_a_message_that_is_none_is_refused(mesh, what):
    try:
        answer = ask(mesh, MESSAGES[what])
    except OSError as error:
        assert error.errno == errno.EMSGSIZE and len(MESSAGES[what]) > 65536  # The kernel refuses to carry it.
        return
    assert answer["code"] != 0 and answer["msg"], answer


def add_request(pod, uid=None, name=None, addresses=None, netns=None):
    """ADD of that pod, but for what else is given."""
    return json.dumps({"v": 1, "command": "ADD", "containerId": "intruder", "netns": str(netns or pod.netns_path),
                       "ifname": "eth0", "network": "pods", "attachments": [],
                       "ips": [str(address) for address in addresses or pod.addresses],
                       "pod": {"namespace": pod.spec.namespace, "name": name or pod.name,
                               "uid": uid or pod.spec.uid}}).encode()


def test_a_descriptor_that_is_no_network_namespace_is_refused(mesh):
    for path in ("/dev/null", "/proc/self/ns/mnt", str(mesh.topology.dir)):
        file = os.open(path, os.O_RDONLY)
        answer = ask(mesh, add_request(mesh.server), [file])
        os.close(file)
        assert answer["code"] != 0, path


def test_two_descriptors_are_refused(mesh):
    with open(mesh.server.netns_path) as one, open(mesh.client.netns_path) as two:
        assert ask(mesh, add_request(mesh.server), [one.fileno(), two.fileno()])["code"] != 0


def test_many_idle_clients_of_the_socket_do_not_shut_out_the_plugin(mesh):
    idle = []
    for _ in range(400):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.setblocking(False)
        if connection.connect_ex(str(mesh.node.run_dir / "cni.sock")) != 0:
            break
        idle.append(connection)
    for connection in idle[:200]:
        connection.close()
    wait_until(lambda: add_and_remove(mesh), "a pod is added while clients sit there", 20)
    for connection in idle[200:]:
        connection.close()


def add_and_remove(mesh):
    try:
        mesh.remove(mesh.pod("patient"))
        return True
    except CniError as refusal:
        assert refusal.code == 11
        return False


def bound(mesh, name, **more):
    """A pod that a scheduler has bound to the node, not started; its Pod object is written."""
    spec = PodSpec(name, "shop", service_account=name, labels={"app": name}, **more)
    mesh.config.put_pod(spec, mesh.node.name)
    return spec


def test_add_with_another_pods_uid_is_refused(mesh):
    """By name it is a pod of its own, in a sandbox of its own."""
    bound(mesh, "thief")
    sandbox = Netns(f"{mesh.topology.prefix}-thief")
    args = {**mesh.server.cni_args(), "K8S_POD_NAME": "thief"}
    try:
        with pytest.raises(CniError, match="belongs to pod shop/server") as refusal:
            mesh.node.chain.add(sandbox.name, sandbox.path, args=args)
        assert refusal.value.code == 4
    finally:
        sandbox.remove()


def test_add_of_a_pod_with_anothers_netns_leaves_both_captured(mesh):
    """As a runtime would that mixes up its sandboxes: name and uid are right, the namespace is the other pod's."""
    with open(mesh.client.netns_path) as netns:
        answer = ask(mesh, add_request(mesh.server, addresses=mesh.client.addresses), [netns.fileno()])
    assert "belongs to pod shop/client" in answer["msg"]
    assert {"client", "server"} <= {pod["name"] for pod in mesh.admin(mesh.node, "/debug/pods")}


def test_add_with_another_pods_netns_is_refused(mesh):
    spec = bound(mesh, "squatter")
    with open(mesh.server.netns_path) as netns:
        answer = refusal(mesh, claim(mesh, spec), netns)
    assert "belongs to pod shop/server" in answer["msg"]


def refusal(mesh, request, netns):
    """The agent's answer, once the pod's record has reached the node: until then it says 11, to be tried again."""
    def answer():
        last = ask(mesh, request, [netns.fileno()])
        return last if last["code"] != 11 else None
    return wait_until(answer, "the agent answers for good")


def claim(mesh, spec, netns=None):
    """ADD of that pod with what is the server's."""
    return add_request(mesh.server, spec.uid, spec.name, netns=netns)


def test_add_with_the_nodes_own_netns_is_refused(mesh):
    spec = bound(mesh, "host-thief")
    with open(mesh.node.netns_path) as netns:
        answer = refusal(mesh, claim(mesh, spec), netns)
    assert "the node's own" in answer["msg"]


def test_add_with_an_address_that_is_not_inside_is_refused(mesh):
    spec = bound(mesh, "liar")
    empty = Netns(f"{mesh.topology.prefix}-empty")
    try:
        with open(empty.path) as netns:
            answer = refusal(mesh, claim(mesh, spec, empty.path), netns)
        assert answer["code"] == 111
    finally:
        empty.remove()


@pytest.mark.parametrize("path", ["/run/netns/not-there", "another pod's"])
def test_add_whose_path_is_not_its_descriptors_is_refused(mesh, path):
    """By its path the agent sees later whether the pod still lives: one that leads elsewhere would end its capture."""
    spec = bound(mesh, "astray")
    sandbox = Netns(f"{mesh.topology.prefix}-astray")
    wrong = mesh.client.netns_path if path == "another pod's" else path
    request = add_request(mesh.server, spec.uid, spec.name, ["10.99.0.2"], wrong)
    try:
        sandbox.ip("link", "add", "eth0", "type", "veth", "peer", "name", "other")
        sandbox.ip("addr", "add", "10.99.0.2/32", "dev", "eth0")
        with open(sandbox.path) as netns:
            answer = refusal(mesh, request, netns)
        assert answer["code"] == 4 and str(wrong) in answer["msg"], answer
    finally:
        sandbox.remove()


def test_add_of_a_pod_that_nobody_knows_is_to_be_tried_again(mesh):
    with pytest.raises(CniError, match="has not told this node") as refusal:
        mesh.node.add_pod(PodSpec("unknown", "shop"))
    assert refusal.value.code == 11


def test_add_of_an_exempt_namespace_that_nobody_knows_passes(mesh):
    """As the controller's own pod while no controller runs."""
    mesh.node.add_pod(PodSpec("unknown", "kube-system")).remove()


INPUTS = {"nothing": b"", "random": os.urandom(5000), "not JSON": b"{", "array": b"[]", "no version": b"{}",
          "old version": b'{"cniVersion":"0.1.0","name":"n","type":"heddle-cni"}', "deep": b"[" * 100_000,
          "NUL": b'{"cniVersion":"1.0.0\x00","name":"n"}', "longer than 1 MiB": b" " * (1 << 20) + b"{}",
          "wrong types": b'{"cniVersion":"1.0.0","name":5,"runDir":[]}',
          "no prevResult": b'{"cniVersion":"1.0.0","name":"n","type":"heddle-cni"}'}


@pytest.mark.parametrize("what", INPUTS)
def test_the_plugin_answers_any_input_with_an_error(mesh, what):
    environment = dict(os.environ, CNI_COMMAND="ADD", CNI_CONTAINERID="c", CNI_NETNS=str(mesh.server.netns_path),
                       CNI_IFNAME="eth0", CNI_PATH="/",
                       CNI_ARGS="IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=x")
    done = subprocess.run([mesh.topology.binary("heddle-cni")], input=INPUTS[what], env=environment,
                          capture_output=True, timeout=12)
    answer = json.loads(done.stdout)
    assert done.returncode != 0 and answer["code"] > 0 and answer["msg"], answer


DOCUMENTS = {
    "not YAML": "{{{ : ][", "tabs": "a:\n\t- b", "a bomb": "a: &a [x, x, x]\nb: &b [*a, *a, *a]\nc: &c [*b, *b, *b]\n",
    "deep": "[" * 5000, "binary": "\x00\x01\x02", "no kind": "apiVersion: v1\n", "empty": "", "a list": "- 1\n- 2\n",
    "unknown kind": "apiVersion: example.org/v1\nkind: Whatever\nmetadata: {name: x}\n",
    "a pod without a name": "apiVersion: v1\nkind: Pod\nmetadata: {}\n",
}


@pytest.mark.parametrize("what", DOCUMENTS)
def test_broken_yaml_harms_no_other_object(mesh, what):
    mesh.config.put("broken", DOCUMENTS[what])
    pod = mesh.pod("beside-broken")  # The controller goes on to read what is not broken.
    assert whoami(pod, mesh.address).get("address") == str(pod.address())
    mesh.remove(pod)
    mesh.config.remove("broken")


def test_a_policy_with_an_unknown_field_denies_for_its_selector(mesh):
    pod = mesh.pod("guarded")
    serve(pod)
    address = str(pod.address())
    policy = objects.authorization_policy("typo", "shop", "ALLOW", {"app": "guarded"}, [principal("client")])
    policy["spec"]["rules"][0]["from"][0]["source"]["principalss"] = ["x"]
    mesh.config.put("typo", policy)
    wait_until(lambda: "error" in whoami(mesh.client, address), "the pod is closed")
    del policy["spec"]["rules"][0]["from"][0]["source"]["principalss"]
    mesh.config.put("typo", policy)
    wait_until(lambda: "address" in whoami(mesh.client, address), "the repaired policy allows the client")
    # A version that is broken later changes nothing: the last good one stays.
    mesh.config.put("typo", dict(policy, spec={"actoin": "DENY"}))
    other = mesh.pod("other")  # What was written after it has arrived.
    assert whoami(mesh.client, address).get("address") == str(mesh.client.address())
    assert "error" in whoami(other, address)
    mesh.remove(other)
    mesh.config.remove("typo")
    wait_until(lambda: "address" in whoami(mesh.client, address), "without the policy the pod is open")
    mesh.remove(pod)


AGENT_PORTS, CONTROLLER_PORTS = (15000, 15020, 15021), (15012, 15014)


@pytest.mark.parametrize("kind", ["random", "http1", "half_record", "nothing"])
def test_bytes_that_are_no_protocol_end_their_connection(mesh, kind):
    """On the ports of the agent and of the controller."""
    places = [(mesh.node, port) for port in AGENT_PORTS] + [(mesh.topology.control, port) for port in CONTROLLER_PORTS]
    for place, port in places:
        seen = call(place, "send_raw", "127.0.0.1", port, kind)
        assert seen.get("length", 0) < 1000 and seen.get("error") in (None, "ECONNRESET", "EPIPE"), (port, seen)
        assert seen != {"error": "ECONNREFUSED"}


def test_clients_that_say_nothing_do_not_shut_out_the_agent(mesh):
    """Somebody keeps many connections to the controller open; a new pod's certificate comes all the same."""
    idle = mesh.topology.control.spawn(["/usr/bin/python3", "-c", "import socket, time\n"
                                        "held = [socket.create_connection(('127.0.0.1', 15012)) for _ in range(500)]\n"
                                        "print('{\"held\": true}', flush=True)\n"
                                        "time.sleep(60)"], "idle")
    wait_said(idle, "held")
    pod = mesh.pod("late", service_account="late")
    mesh.wait_meshed(pod, mesh.server)
    mesh.remove(pod)
    idle.stop()
