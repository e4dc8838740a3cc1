"""A real Kubernetes cluster on this machine, for the suites of label `kube` and for people.

The control plane runs on the fabric's control machine, which is a network namespace of its own; each node has its own
network, mounts, host name, IPC and pids, and in it a real containerd, kubelet and kube-proxy. Nothing is asked of a
container registry, and nothing of the cluster shows in this machine's own network. All of it is gone when the `with`
block ends, also on failure and on Ctrl-C:

    with Cluster(nodes=2) as cluster:
        cluster.kubectl("apply", "-f", "-", input=manifest)
        cluster.kubectl("rollout", "status", "deployment/echo", timeout=60)
        cluster.nodes[1].power_off()
        cluster.nodes[1].power_on()

With dns=True names resolve inside pods. With nodes=0 there are etcd and the API server alone, on loopback of their
namespace: what tests of a controller want.
"""

from .instance import Cluster
from .node import Node

__all__ = ["Cluster", "Node"]
