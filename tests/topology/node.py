"""A node: a network namespace on the fabric, a cgroup subtree, a CNI chain, and perhaps an agent."""

import json

from . import flags
from .chain import Chain, first_conflist
from .netns import Netns
from .pod import Pod
from .process import Place


class Node(Place):
    """Made by Topology. Processes started on it run as a host's daemons do: outside the cgroup of pods."""

    def __init__(self, topology, index):
        self.index = index
        self.topology = topology
        self.name = f"node{index}"
        self.netns = Netns(f"{topology.prefix}-{self.name}")
        topology.defer(self.netns.remove)
        self.cgroup_root = topology.cgroup.child(self.name)
        self.pods_cgroup = self.cgroup_root.child("kubepods")
        self.dir = topology.dir / self.name
        for folder in ("cni-ipam", "cni-cache", "state", "logs"):
            (self.dir / folder).mkdir(parents=True)
        self.run_dir.mkdir(mode=0o700)
        super().__init__(self.netns.path, self.cgroup_root.child("system"), self.dir / "logs")
        topology.defer(self.stop_all)
        self.pods = {}
        self.agent = None
        self._containers = 0
        topology.join_fabric(self.netns, index, self.name)
        self.chain = self._install_chain() if topology.installs else Chain(
            self._conflist(), self.netns, topology.plugin_dirs, self.dir / "cni-cache")

    # Addresses. Every instance has the same ones.
    def address(self, version):
        return self.topology.node_address(self.index, version)

    def pod_subnet(self, version):
        return f"10.77.{self.index}.0/24" if version == 4 else f"fd77:0:0:{self.index}::/64"

    @property
    def run_dir(self):
        return self.topology.volatile_dir / self.name

    @property
    def state_dir(self):
        return self.dir / "state"

    @property
    def pin_dir(self):
        return self.topology.pin_root / self.name

    def route_to(self, other):
        """Reaches the other node's pods by its address on the fabric."""
        for version in (4, 6):
            self.netns.ip(f"-{version}", "route", "add", other.pod_subnet(version), "via", other.address(version))

    def _conflist(self):
        versions = [v for v, family in ((4, "ipv4"), (6, "ipv6")) if family in self.topology.families]
        plugins = [{
            "type": "bridge", "bridge": "cni0", "isGateway": True, "ipMasq": False, "hairpinMode": True,
            "ipam": {"type": "host-local", "dataDir": str(self.dir / "cni-ipam"),
                     "ranges": [[{"subnet": self.pod_subnet(v)}] for v in versions],
                     "routes": [{"dst": "0.0.0.0/0" if v == 4 else "::/0"} for v in versions]},
        }]
        if self.topology.mesh and not self.topology.installs:
            plugins.append({"type": "heddle-cni", "runDir": str(self.run_dir),
                            "exemptNamespaces": ["kube-system"]})
        return {"cniVersion": "1.0.0", "name": "pods", "plugins": plugins}

    @property
    def cni_conf_file(self):
        return self.dir / "cni-net.d" / "10-pods.conflist"

    @property
    def cni_bin_dir(self):
        return self.dir / "cni-bin"

    def _install_chain(self):
        """As on a node of a cluster: the agent puts plugin and entry where the runtime looks."""
        self.cni_conf_file.parent.mkdir()
        self.cni_bin_dir.mkdir()
        self.cni_conf_file.write_text(json.dumps(self._conflist(), indent=2))
        return Chain(lambda: first_conflist(self.cni_conf_file.parent), self.netns,
                     ["/usr/lib/cni", self.cni_bin_dir], self.dir / "cni-cache")

    def add_pod(self, spec, connect=True):
        """Makes namespace and cgroup and runs CNI ADD; a refusal (CniError) leaves nothing behind."""
        self._containers += 1
        container_id = f"{self.topology.prefix}-{self.name}-c{self._containers}"
        netns = Netns(container_id)
        self.topology.defer(netns.remove)
        cgroup = self.pods_cgroup.child(f"pod{spec.uid}")
        logs = self.dir / "logs" / f"{spec.namespace}-{spec.name}-{self._containers}"
        logs.mkdir()
        pod = Pod(spec, self, netns, cgroup, container_id, logs)
        if connect:
            try:
                pod.connect()
            except BaseException:
                pod.remove(run_del=False)
                raise
        self.pods[(spec.namespace, spec.name)] = pod
        self.topology.defer(lambda: pod.remove() if netns.path.exists() else None)
        return pod

    def start_agent(self, *extra):
        """Starts heddle-agent and waits until it says that it is ready; returns the process."""
        self.agent = self.spawn([self.topology.binary("heddle-agent"), *flags.agent(self),
                                 *self.topology.agent_flags, *extra], "heddle-agent")
        self.agent.wait_ready(self.agent_is_ready, f"agent of {self.name} is ready")
        return self.agent

    def agent_is_ready(self):
        return self.http_status("http://127.0.0.1:15021/healthz/ready") == 200

    def http_status(self, url):
        """The status of a GET from the node's own namespace; 0 when nothing answers."""
        done = self.run(["curl", "-s", "-o", "/dev/null", "-m", "2", "-w", "%{http_code}", url], check=False)
        return int(done.stdout or 0)
