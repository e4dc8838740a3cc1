"""A controller, nodes with agents, an enrolled namespace `shop`, and `outside`, which is not.

Nothing in `shop` is STRICT unless a test says so: clients inside and outside the mesh reach the same server.

HEDDLE_VARIANT=BACKEND:FAMILIES (epoll:ipv6, io_uring:ipv4+ipv6) runs any suite with these, where a test does not say
which it means.
"""

import contextlib
import json
import os
import pathlib

from topology import PodSpec, Topology, wait_until
from topology import mesh_objects as objects

from .watch import Watch

HERE = pathlib.Path(__file__).parent
PORT = 8080
SERVICE_IP = {4: "10.96.0.10", 6: "fd96::10"}
TRUST_DOMAIN = "cluster.local"


def principal(service_account, namespace="shop"):
    return f"{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


def authority(address, port):
    """As in a URL, an HTTP request, and the output of ss."""
    return f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"


def python(name):
    return ["/usr/bin/python3", HERE / f"{name}.py"]


class Mesh:
    """Made by `running`. `topology` is beneath it, `watch` on every pod of `shop`."""

    def __init__(self, topology):
        self.topology = topology
        self.watch = Watch()
        self.version = 4 if "ipv4" in topology.families else 6

    @property
    def nodes(self):
        return self.topology.nodes

    @property
    def config(self):
        return self.topology.config

    def start(self):
        self.config.put("namespaces", objects.namespace("shop", True), objects.namespace("outside", False))
        self.config.put("nodes", *(objects.node(node.name, node.address(self.version)) for node in self.nodes))
        self.topology.start_controller()
        for node in self.nodes:
            node.start_agent()

    def pod(self, name, node=0, namespace="shop", service_account=None):
        spec = PodSpec(name, namespace, service_account=service_account or name, labels={"app": name})
        pod = self.topology.start_pod(self.nodes[node], spec)
        if namespace == "shop":
            self.watch.add(pod)
        return pod

    def remove(self, pod, run_del=True):
        """As when a pod is deleted: first its sandbox, then its object."""
        pod.remove(run_del)
        self.config.remove(f"pod-{pod.spec.namespace}-{pod.name}")

    def client_and_server(self):
        """On two nodes; returns when a connection between them is carried by a tunnel."""
        client, server = self.pod("client", 0), self.pod("server", 1)
        serve(server)
        self.wait_meshed(client, server)
        return client, server

    def wait_meshed(self, client, server):
        """The server was announced as HBONE when its address is dialled through a tunnel."""
        def through_tunnel():
            return answers(client, server) and tunnels(client, server)
        wait_until(through_tunnel, f"{client.name} reaches {server.name} by HBONE", 20)
        self.watch.meshed(client.node, server)

    def wait_meshed_by_announcement(self, client, server):
        """The client's node knows the server as HBONE; nothing needs to listen there."""
        def announced():
            workloads = self.admin(client.node, "/config_dump").get("workloads", [])
            return any(each.get("name") == server.name and each.get("protocol") == "HBONE" for each in workloads)
        wait_until(announced, f"{server.name} is announced as HBONE", 20)
        self.watch.meshed(client.node, server)

    def policy(self, name, action, selector, principals, namespace="shop"):
        self.config.put(name, objects.authorization_policy(name, namespace, action, selector, principals))

    def admin(self, node, path):
        """JSON of a node's admin port."""
        return json.loads(node.run(["curl", "-sS", "-m", "5", f"http://127.0.0.1:15000{path}"]).stdout)


def variant():
    """(families, flags of the agent) that the environment asks for."""
    backend, _, families = os.environ.get("HEDDLE_VARIANT", "").partition(":")
    return tuple((families or "ipv4").split("+")), ("--backend", backend) if backend else ()


@contextlib.contextmanager
def running(nodes=2, families=None, agent_flags=None, leaks_expected=False, installs=False):
    """At the end no connection of an enrolled pod may have crossed its link in clear that the mesh should have had;
    with `leaks_expected` None it may."""
    families = variant()[0] if families is None else families
    agent_flags = variant()[1] if agent_flags is None else agent_flags
    with Topology(nodes=nodes, families=families, mesh=True, agent_flags=agent_flags, installs=installs) as topology:
        mesh = Mesh(topology)
        mesh.start()
        yield mesh
        leaks = mesh.watch.leaks()
        assert leaks_expected is None or bool(leaks) == leaks_expected, leaks


def serve(pod, port=PORT, address=None):
    """Starts app.py; returns its process once it listens."""
    process = pod.spawn([*python("app"), port, *([address] if address else [])], "app")
    process.wait_ready(lambda: f":{port} " in pod.run(["ss", "-Hltn"]).stdout, f"{pod.name} listens")
    return process


def call(place, command, host, port, *arguments, seconds=40):
    """Runs a command of client.py to its end; returns the last object that it printed."""
    done = place.run([*python("client"), command, host, port, *arguments], timeout=seconds)
    return json.loads(done.stdout.splitlines()[-1])


def start(place, command, host, port, *arguments):
    """Starts a command of client.py; its lines are read by `said`."""
    return place.spawn([*python("client"), command, host, port, *arguments], command)


def said(process):
    """The objects that a started command has printed so far."""
    return [json.loads(line) for line in process.output().splitlines(keepends=True) if line.startswith("{")
            and line.endswith("\n")]


def wait_said(process, key, seconds=20):
    """The first object with that key."""
    return wait_until(lambda: next((each for each in said(process) if key in each), None),
                      f"{process.name} says {key}", seconds)


def whoami(place, host, port=PORT):
    return call(place, "ask", host, port, "whoami")


def answers(client, server, version=None):
    """Whether the server sees the client under the client's own address."""
    return whoami(client, server.address(version)).get("address") == str(client.address(version))


def tunnels(client, server):
    """Live connections from the client's netns to the server's HBONE port."""
    lines = client.run(["ss", "-Htn", "state", "established", "dport = :15008"]).stdout.splitlines()
    return [line for line in lines if str(server.address()) in line]


def report(client, host, token, port=PORT):
    """How the connection with that token ended at the server; waits until it has."""
    return wait_until(lambda: call(client, "ask", host, port, "report", token)["end"], f"the server saw {token} end")
