"""A node: a machine's namespaces with containerd, kubelet and kube-proxy in them, and a power switch."""

import pathlib
import time

from topology.netns import Netns
from topology.process import ForkedProcess, Place

from . import node_config
from .control_plane import START_SECONDS

BOOT = pathlib.Path(__file__).with_name("boot.py")
# The node's own part of this machine's cgroup2 hierarchy, at one path on every node: what programs of a node take for
# the root of cgroup2. On /run, so it goes with the power.
CGROUP2 = "/run/cgroup2"
EMPTY_MESSAGE = "\0" * 5  # Of gRPC: not compressed, of no length.


class Node(Place):
    """Made by Cluster. run() and spawn() run programs on the node, as its service manager or a login would; after
    power_off() neither may be called until power_on()."""

    def __init__(self, cluster, index):
        self.cluster = cluster
        self.index = index
        self.name = f"node{index}"
        self.dir = cluster.dir / self.name
        (self.dir / "logs").mkdir(parents=True)
        self.cgroup_root = cluster.cgroup.child(self.name)
        self._netns_name = f"{cluster.prefix}-{self.name}"
        self.netns = None
        self._boot_count = 0
        super().__init__(f"/run/netns/{self._netns_name}", self.cgroup_root.child("system"), self.dir / "logs")
        self._process = ForkedProcess
        self.environment = {"PATH": cluster.programs.search_path()}
        self._hardware = Place(self.netns_path, self.cgroup, self.dir / "logs")
        self._hardware._process = ForkedProcess
        self.init = self.containerd = self.kubelet = self.kube_proxy = None
        self._config = self._write_config()
        cluster.defer(self.power_off)

    @property
    def address(self):
        return self.cluster.node_address(self.index, 4)

    @property
    def pod_subnet(self):
        return f"10.244.{self.index}.0/24"

    def namespaces(self):
        return [f"--target={self.init.pid}", "--net", "--mount", "--uts", "--ipc", "--pid"]

    def _write_config(self):
        plane = self.cluster.control_plane
        return node_config.write(self.dir, {
            "10-pods.conflist": node_config.conflist(self.pod_subnet),
            "containerd.toml": node_config.containerd(self.cluster.programs["runc"]),
            "resolv.conf": f"nameserver {node_config.CLUSTER_DNS}\n",
            "kubelet.yaml": node_config.kubelet(self.cluster.pki.ca, self.cgroup_root.relative(),
                                                self.dir / "resolv.conf"),
            "kube-proxy.yaml": node_config.kube_proxy(self.name, plane.kubeconfig("proxy")),
        })

    def power_on(self):
        """Boots it and starts its daemons; does not wait until the node is Ready."""
        if self.init is not None:
            raise RuntimeError(f"{self.name} is on")
        self._connect()
        self.init = self._hardware.spawn(
            ["unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL", "--propagation=private",
             "/usr/bin/python3", BOOT, self.name, self.dir / "disk"], "boot")
        self.init.wait_ready(lambda: "booted" in self.init.output(), f"{self.name} boots", START_SECONDS)
        self.run(["mkdir", CGROUP2])
        self.run(["mount", "--bind", self.cgroup_root.trees[0].path, CGROUP2])
        first = self._boot_count == 0
        self._boot_count += 1
        if first:
            self.run(["cp", self._config["10-pods.conflist"], "/etc/cni/net.d/"])
        self.start_containerd()
        if first:
            for archive in self.cluster.images:
                self.import_image(archive)
        self.start_kubelet()
        self.start_kube_proxy()

    def _connect(self):
        self.netns = Netns(self._netns_name)
        self.cluster.join_fabric(self.netns, self.index, self.name)
        # Packets to a Service are routed before kube-proxy rewrites them: there must be some route.
        self.netns.ip("route", "add", "default", "via", self.cluster.control_address(4))
        self.netns.sysctl("net/bridge/bridge-nf-call-iptables", 1)
        for other in self.cluster.nodes:
            if other is not self:
                self.netns.ip("route", "replace", other.pod_subnet, "via", other.address)

    def start_containerd(self):
        self.containerd = self.spawn(["containerd", "--config", self._config["containerd.toml"]], "containerd")
        self.containerd.wait_ready(self._cri_answers, f"containerd of {self.name} answers", START_SECONDS)

    def _cri_answers(self):
        """containerd serves its own API before it serves the kubelet's: a kubelet that comes between them ends at once,
        and here no service manager starts it again."""
        said = self.run(["curl", "-sS", "-m", "5", "--http2-prior-knowledge",
                         "--unix-socket", node_config.CONTAINERD_SOCKET, "--dump-header", "-", "--output", "/dev/null",
                         "--header", "content-type: application/grpc", "--header", "te: trailers",
                         "--data-binary", "@-", "http://localhost/runtime.v1.RuntimeService/Version"],
                        check=False, input=EMPTY_MESSAGE)
        return "grpc-status: 0" in said.stdout

    def start_kubelet(self, *options):
        self.kubelet_started = time.time()
        self.kubelet = self.spawn([
            "kubelet", f"--config={self._config['kubelet.yaml']}",
            f"--kubeconfig={self.cluster.control_plane.kubeconfig(self.name)}", f"--hostname-override={self.name}",
            f"--node-ip={self.address}", "--root-dir=/var/lib/kubelet", "--cert-dir=/var/lib/kubelet/pki",
            *options], "kubelet")

    def start_kube_proxy(self):
        self.kube_proxy = self.spawn(["kube-proxy", f"--config={self._config['kube-proxy.yaml']}"], "kube-proxy")

    def import_image(self, archive):
        """Makes the images of an archive (docker or OCI) known to the node, as a pull would."""
        self.run(["ctr", "--namespace=k8s.io", "images", "import", archive], timeout=120)

    def power_off(self):
        """As pulling the plug: nothing is stopped in order. What is on its disk stays."""
        if self.init is not None:
            self.init.kill()  # Its pid 1; the kernel ends every process of the pid namespace with it.
            self.init = None
        self.stop_all()
        self._hardware.stop_all()
        self._remove_pods()
        if self.netns is not None:
            self.cluster.fabric.ip("link", "del", self.name)
            self.netns.remove()
            self.netns = None

    def _remove_pods(self):
        """Cgroups do not outlive a boot. kubelet would spend 3 s on each that it finds of a pod it does not know."""
        for tree in self.cgroup_root.trees:
            for child in tree.children():
                child.remove()
        self.cgroup = self._hardware.cgroup = self.cgroup_root.child("system")
