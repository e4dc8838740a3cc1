"""Nodes and pods on one machine, for the netns suite, the end-to-end suite and the demo.

A node is a network namespace with its own cgroup subtree and its own agent; a pod is a network namespace that a real
CNI chain connects, and a cgroup in which all of its processes run. Everything that is made carries the instance's
prefix and is gone when the `with` block ends, also on failure and on Ctrl-C:

    with Topology(nodes=2, families=("ipv4", "ipv6")) as topology:
        client = topology.nodes[0].add_pod(PodSpec("client"))
        server = topology.nodes[1].add_pod(PodSpec("server"))
        server.spawn(["python3", "-m", "http.server", "8080"])
        client.run(["curl", "-sS", f"http://{server.address()}:8080/"])

Addresses repeat between instances: no two of them share a namespace.
"""

from .chain import Chain, CniError
from .instance import Topology
from .node import Node
from .objects import ConfigDirectory
from .pod import Pod, PodSpec
from .process import CommandFailed, Process
from .waiting import Timeout, wait_until

__all__ = ["Chain", "CniError", "CommandFailed", "ConfigDirectory", "Node", "Pod", "PodSpec", "Process", "Timeout",
           "Topology", "wait_until"]
