"""One cluster: the control plane, its nodes, and kubectl."""

import datetime
import json

from topology.cgroup import CgroupForest
from topology.ground import Ground
from topology.waiting import wait_until

from ..audit import AuditLog
from . import dns, images
from .control_plane import START_SECONDS, ControlPlane
from .node import Node
from .pki import Pki
from .programs import Programs


class Cluster(Ground):
    """`images` are archives that every node knows from its first boot; those of images.py come by themselves. With
    `dns` names resolve inside pods. With `audit`, a namespace, `audit` is the AuditLog of its service accounts."""

    def __init__(self, nodes=2, images=(), dns=False, audit=None):
        super().__init__()
        self._audited = audit
        self._node_count = nodes
        self._has_dns = dns
        self.images = list(images)
        self.programs = Programs()
        self.nodes = []

    def make_cgroup(self):
        return CgroupForest.plant(self.prefix)

    def _build(self):
        self.pki = Pki(self.dir / "pki")
        self.audit = AuditLog(self.dir, self._audited) if self._audited else None
        self.control_plane = ControlPlane(self.control, self.programs, self.pki, (self.dir, self.volatile_dir),
                                          self.control_address(4) if self._node_count else None,
                                          self.audit.options() if self.audit else ())
        for index in range(1, self._node_count + 1):
            self.control_plane.add_node(f"node{index}")
        # For kubectl and helm, which otherwise leave caches in the home directory.
        self.control.environment = {
            "KUBECONFIG": str(self.control_plane.kubeconfig("admin")), "KUBECACHEDIR": str(self.dir / "kube-cache"),
            **{f"HELM_{kind}_HOME": str(self.dir / "helm") for kind in ("CACHE", "CONFIG", "DATA")}}
        self.defer(self.control_plane.kill)
        self.control_plane.start()
        if self._node_count:
            self._build_nodes()

    def _build_nodes(self):
        self.control_plane.start_controllers()
        if self._has_dns:
            dns.start(self, min(self._node_count, dns.REPLICAS_MAX))
        self.images.insert(0, images.write_busybox(self.dir / "busybox.tar", self.programs["busybox"]))
        self.nodes = [Node(self, index) for index in range(1, self._node_count + 1)]
        for node in self.nodes:
            # The control machine reaches pods, too: webhooks and port-forwards, and a client outside the cluster.
            node.power_on()
            self.fabric.ip("route", "add", node.pod_subnet, "via", node.address)
        for node in self.nodes:
            self.wait_ready(node)
        wait_until(lambda: self.find("serviceaccount", "default"), "pods have an account to run as", START_SECONDS, 0.2)
        if self._has_dns:
            dns.wait_ready(self)

    def kubectl(self, *arguments, input=None, timeout=60, check=True):
        """Runs the real kubectl as the cluster's administrator; returns what it printed."""
        kubectl = self.programs["kubectl"]
        return self.control.run([kubectl, *arguments], input=input, timeout=timeout, check=check).stdout

    def helm(self, *arguments, timeout=120, check=True):
        """Runs the real helm as the cluster's administrator; returns what it printed."""
        return self.control.run([self.programs.helm(), *arguments], timeout=timeout, check=check).stdout

    def find(self, kind, name, namespace="default"):
        """The object as a dictionary, None when there is none of that name."""
        found = self.kubectl("get", kind, name, f"--namespace={namespace}", "--output=json", "--ignore-not-found")
        return json.loads(found) if found.strip() else None

    def wait_ready(self, node):
        """Waits until the node's kubelet of now says Ready: what an earlier one said stays for a while. A kubelet that
        has just started may be Ready a moment before it knows its pods again."""
        def says_ready():
            found = self.find("node", node.name)
            ready = [c for c in found["status"].get("conditions", ()) if c["type"] == "Ready"] if found else ()
            return any(c["status"] == "True" and _seconds(c["lastHeartbeatTime"]) > node.kubelet_started
                       for c in ready)

        node.kubelet.wait_ready(says_ready, f"{node.name} is Ready", START_SECONDS)


def _seconds(timestamp):
    return datetime.datetime.fromisoformat(timestamp.replace("Z", "+00:00")).timestamp()
