"""Pods: a network namespace behind a CNI chain, and a cgroup for every process in it."""

import dataclasses
import ipaddress
import uuid

from .process import Place


@dataclasses.dataclass
class PodSpec:
    """What a scheduler would bind to a node."""
    name: str
    namespace: str = "default"
    service_account: str = "default"
    labels: dict = dataclasses.field(default_factory=dict)
    uid: str = dataclasses.field(default_factory=lambda: str(uuid.uuid4()))


class Pod(Place):
    """Made by Node.add_pod(). `addresses` are its IPs as ipaddress objects, in the order of the CNI result."""

    def __init__(self, spec, node, netns, cgroup, container_id, log_dir):
        super().__init__(netns.path, cgroup, log_dir)
        self.spec = spec
        self.node = node
        self.netns = netns
        self.container_id = container_id
        self.leaving = []  # Called before it goes.
        self.result = None
        self.addresses = []

    @property
    def name(self):
        return self.spec.name

    def address(self, version=None):
        """Its first address, or the first of the IP version (4 or 6)."""
        for address in self.addresses:
            if version in (None, address.version):
                return address
        raise LookupError(f"pod {self.name} has no IPv{version} address")

    def cni_args(self):
        return {"IgnoreUnknown": "1", "K8S_POD_NAMESPACE": self.spec.namespace, "K8S_POD_NAME": self.spec.name,
                "K8S_POD_INFRA_CONTAINER_ID": self.container_id, "K8S_POD_UID": self.spec.uid}

    def connect(self):
        """CNI ADD."""
        self.result = self.node.chain.add(self.container_id, self.netns.path, args=self.cni_args())
        self.addresses = [ipaddress.ip_interface(ip["address"]).ip for ip in self.result.get("ips", [])]

    def remove(self, run_del=True):
        """Ends its processes, runs CNI DEL (a node crash would not), and takes namespace and cgroup away."""
        try:
            while self.leaving:
                self.leaving.pop()()
        finally:
            self._take_away(run_del)

    def _take_away(self, run_del):
        self.stop_all()
        self.cgroup.remove()
        if run_del:
            self.node.chain.delete(self.container_id, self.netns.path, args=self.cni_args(), best_effort=True)
        self.netns.remove()
        self.node.pods.pop((self.spec.namespace, self.spec.name), None)
