"""The cast: namespace `shop` is in the mesh (STRICT), `outside` is not.

    node1: shop/client, outside/legacy        node2: shop/server (STRICT), shop/open (PERMISSIVE)
"""

from topology import PodSpec, wait_until
from topology import mesh_objects as objects
from topology.applications import get, serve

SERVICE_IP = "10.96.0.10"
TRUST_DOMAIN = "cluster.local"


def principal(service_account, namespace="shop"):
    return f"{TRUST_DOMAIN}/ns/{namespace}/sa/{service_account}"


class Scene:
    def __init__(self, topology):
        self.topology = topology
        self.pods = {}

    def __getattr__(self, name):
        """scene.client, scene.server, ...: the pod of that name."""
        try:
            return self.__dict__["pods"][name]
        except KeyError:
            raise AttributeError(name) from None

    def start(self):
        topology = self.topology
        self._write_cluster()
        topology.start_controller()
        for node in topology.nodes:
            node.start_agent()
        for name, namespace, node in (("client", "shop", 0), ("legacy", "outside", 0),
                                      ("server", "shop", 1), ("open", "shop", 1)):
            spec = PodSpec(name, namespace, service_account=name, labels={"app": name})
            self.pods[name] = topology.start_pod(topology.nodes[node], spec)
        serve(self.server)
        serve(self.open)
        topology.config.put("endpoints", objects.endpoint_slice("server", "shop", [self.server]))
        # State, certificates and policy are on their way; the first answer says that they have arrived.
        wait_until(self.service_answers, "the service answers", 20)

    def _write_cluster(self):
        config = self.topology.config
        config.put("cluster", objects.namespace("shop", True), objects.namespace("outside", False),
                   *(objects.node(node.name, node.address(4)) for node in self.topology.nodes),
                   *(objects.service_account(name, "shop") for name in ("client", "server", "open")),
                   objects.service_account("legacy", "outside"))
        config.put("service", objects.service("server", "shop", SERVICE_IP, {"app": "server"}))
        config.put("mtls", objects.peer_authentication("default", "shop", "STRICT"),
                   objects.peer_authentication("open", "shop", "PERMISSIVE", {"app": "open"}))

    def service_answers(self):
        done = self.client.run(["curl", "-sS", "-m", "5", f"http://{SERVICE_IP}/whoami"], check=False)
        return done.returncode == 0 and done.stdout.strip() == str(self.client.address())

    def ask_service(self):
        return get(self.client, SERVICE_IP, port=80)

    def node_of(self, pod):
        return self.pods[pod].node

    def hints(self):
        node = self.client.node
        return {"client_cgroup": self.client.cgroup.path, "client_netns": self.client.netns_path,
                "service": SERVICE_IP, "config": self.topology.config.path, "pins": node.pin_dir,
                "agent_log": node.agent.log, "heddlectl": self.topology.binary("heddlectl")}
