"""The chart, installed on a cluster, and what its programs say."""

import json
import pathlib
import sys

from kube import istio, metrics
from kube.cluster.node import CGROUP2
from topology import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import image as image_script  # noqa: E402

CHART = ROOT / "deploy/helm/heddle"
NAMESPACE = "heddle-system"
SECONDS = 120


def write_archives(build, folder):
    """The images of a build, as archives for Cluster(images=...)."""
    prefix = image_script.install(build, folder / "prefix")
    return [image_script.write(prefix, image, folder, f"localhost/heddle-{image}:{image_script.version()}")
            for image in ("agent", "controller")]


class Release:
    """Made of a cluster whose nodes know the images."""

    def __init__(self, cluster):
        self.cluster = cluster

    def install(self):
        """Istio's kinds of policies, and Heddle; returns when the controller and an agent on each node are ready."""
        istio.install(self.cluster, "AuthorizationPolicy", "PeerAuthentication")
        self.cluster.kubectl("create", "namespace", "istio-system")
        self.upgrade()
        self.rolled_out("deployment/heddle-controller")
        self.rolled_out("daemonset/heddle-agent")

    def upgrade(self, *values):
        every = (f"agent.host.cgroup={CGROUP2}", *values)
        self.cluster.helm("upgrade", "--install", "heddle", CHART, f"--namespace={NAMESPACE}", "--create-namespace",
                          "--reuse-values", *(f"--set={value}" for value in every))

    def rolled_out(self, workload):
        self.cluster.kubectl("rollout", "status", workload, f"--namespace={NAMESPACE}", f"--timeout={SECONDS}s",
                             timeout=SECONDS + 9)

    def pods(self, app):
        """Its pods that are not about to go."""
        listed = self.cluster.kubectl("get", "pods", f"--namespace={NAMESPACE}", f"--selector=app={app}",
                                      "--output=json")
        return [pod for pod in json.loads(listed)["items"] if "deletionTimestamp" not in pod["metadata"]]

    def agent(self, node):
        agent, = (pod for pod in self.pods("heddle-agent") if pod["spec"]["nodeName"] == node.name)
        return agent["metadata"]["name"]

    def heddlectl(self, node, *command, check=True):
        """What heddlectl in that node's agent prints."""
        return self.cluster.kubectl("exec", self.agent(node), f"--namespace={NAMESPACE}", "--container=agent", "--",
                                    "heddlectl", *command, check=check)

    def agent_log(self, node):
        return self.cluster.kubectl("logs", self.agent(node), f"--namespace={NAMESPACE}", "--container=agent")

    def captured(self, node):
        """{NAMESPACE/NAME} of the pods that the agent of that node has."""
        lines = self.heddlectl(node, "pods").splitlines()[1:]
        return {word for line in lines if " NO:" not in line for word in line.split() if "/" in word}

    def controllers_log(self):
        """Of all of them, and of nothing that ran before them."""
        return "".join(self.cluster.kubectl("logs", each["metadata"]["name"], f"--namespace={NAMESPACE}")
                       for each in self.pods("heddle-controller"))

    def controllers_page(self, path):
        """What all of them show at a path of theirs."""
        return "".join(self.cluster.control.run(
            ["curl", "-fsS", "-m", "5", f"http://{each['status']['podIP']}:15014{path}"]).stdout
            for each in self.pods("heddle-controller"))

    def metric(self, node, name, **labels):
        """Of the node's agent; the sum when there are several series; None without any."""
        shown = node.run(["curl", "-sS", "-m", "5", "http://127.0.0.1:15020/metrics"]).stdout
        return metrics.total(shown, name, **labels)

    def processes(self, node, program):
        """Pids of a program on a node, as the node sees them."""
        return [int(pid) for pid in node.run(["pidof", program], check=False).stdout.split()]

    def without_agents(self):
        """`with`: no agent runs, as while a faulty version is rolled out."""
        return _WithoutAgents(self)

    def wait_connected(self):
        """Until each agent is ready and connected to a controller."""
        def connected():
            return all(self.heddlectl(node, "status", check=False).splitlines()[1:2] and
                       self.heddlectl(node, "status", check=False).splitlines()[1].split()[1:3] == ["yes", "connected"]
                       for node in self.cluster.nodes)

        wait_until(connected, "agents are ready and connected", SECONDS, 0.5)


class _WithoutAgents:
    """By a node selector that no node has: the DaemonSet stays."""

    def __init__(self, release):
        self._release = release

    def _select(self, selector):
        patch = {"spec": {"template": {"spec": {"nodeSelector": selector}}}}
        self._release.cluster.kubectl("patch", "daemonset", "heddle-agent", f"--namespace={NAMESPACE}",
                                      f"--patch={json.dumps(patch)}")

    def __enter__(self):
        self._select({"heddle.io/nowhere": "true"})
        wait_until(lambda: not any(self._release.processes(node, "heddle-agent")
                                   for node in self._release.cluster.nodes), "the agents are gone", SECONDS, 0.5)

    def __exit__(self, *unused):
        self._select({"heddle.io/nowhere": None})
        self._release.rolled_out("daemonset/heddle-agent")
