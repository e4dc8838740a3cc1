"""The controller at size, against a real API server and etcd alone: 10 000 pods behind 1 000 services."""

import json
import os
import pathlib
import statistics
import sys

import pytest
from acceptance.results import record
from kube.cluster import Cluster
from kube.loader import pod
from kube.test_source import BINARIES, Controller

PODS = int(os.environ.get("HEDDLE_SIZE_PODS", "10000"))
SERVICES = PODS // 10
CHANGES = 100
AGENTS = 10
HOLDING = 5  # So many of the simulated agents hold and apply all of it, as real ones do; the others take it only.
LOADER = pathlib.Path(__file__).with_name("loader.py")

# Far above what is measured, for slow machines: what grows with the square of something does not stay below.
READY_SECONDS = 60
RSS_MAX_MB = 120
COLD_CPU_SECONDS_MAX = 15
CHANGE_MEDIAN_SECONDS_MAX = 0.5
CONNECTED_SECONDS_MAX = 60

_TICKS = os.sysconf("SC_CLK_TCK")


def load(cluster, *arguments, timeout=300):
    done = cluster.control.run([sys.executable, LOADER, *map(str, arguments)], timeout=timeout)
    return json.loads(done.stdout.splitlines()[-1])


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def resident_mb(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")) / 1024


@pytest.fixture(scope="module")
def figures():
    """What is measured, printed and kept at the end (acceptance/results.py)."""
    made = {"pods": PODS, "services": SERVICES}
    yield made
    record("controller_size", **made)


@pytest.fixture(scope="module")
def cluster(figures):
    with Cluster(nodes=0) as made:
        # Where the controller keeps its root.
        made.kubectl("create", "namespace", "heddle-system")
        figures["fill_seconds"] = load(made, "fill", made.control_plane.kubeconfig("admin"), PODS)["seconds"]
        yield made


@pytest.fixture(scope="module")
def controller(cluster, figures):
    made = Controller(cluster, "size", 20000, "--source", "kubernetes", "--kubeconfig",
                      cluster.control_plane.kubeconfig("admin"))
    made.process.wait_ready(made.is_ready, "the controller is ready", READY_SECONDS)
    figures["cold_cpu_seconds"] = cpu_seconds(made.process.pid)
    figures["rss_mb"] = resident_mb(made.process.pid)
    return made


def test_lists_everything_within_its_bounds(controller, figures):
    resources = controller.resources()
    pods = [name for name in resources["addresses"] if "//Pod/size-" in name]
    services = [name for name in resources["addresses"] if name.startswith("size-")]
    assert (len(pods), len(services)) == (PODS, SERVICES)
    assert sum(len(of_node) for of_node in resources["nodePods"].values()) == PODS
    assert figures["rss_mb"] < RSS_MAX_MB
    assert figures["cold_cpu_seconds"] < COLD_CPU_SECONDS_MAX


def test_publishes_a_change_at_once(cluster, controller, figures):
    before = controller.resources()["addresses"]
    cpu = cpu_seconds(controller.process.pid)
    took = load(cluster, "follow", cluster.control_plane.kubeconfig("admin"), 20001, CHANGES)
    after = controller.resources()["addresses"]
    assert sum(after[name] != version for name, version in before.items()) == CHANGES
    figures["change_to_publication_ms"] = {"median": statistics.median(took) * 1000, "max": max(took) * 1000}
    # With what it costs to be asked for its metrics in a tight loop.
    figures["cpu_ms_per_change"] = (cpu_seconds(controller.process.pid) - cpu) / CHANGES * 1000
    assert statistics.median(took) < CHANGE_MEDIAN_SECONDS_MAX


def test_a_change_at_the_api_server_is_effective_in_every_agent_at_once(cluster, controller, figures):
    """Simulated agents with tokens of their own and the agent's own client, on the controller's real port."""
    tokens, roots = cluster.dir / "tokens", cluster.dir / "roots.pem"
    tokens.mkdir(mode=0o700)
    roots.write_text(cluster.find("configmap", "heddle-root", "heddle-system")["data"]["root-cert.pem"])
    config, number = cluster.control_plane.kubeconfig("admin"), PODS - 1
    load(cluster, "agents", config, AGENTS, tokens)
    changing = pod(number)["metadata"]
    took = load(cluster, "converge", config, number, CHANGES, (BINARIES / "heddle-bench-agents").resolve(),
                "--controller=127.0.0.1:20000", f"--roots={roots}", f"--tokens={tokens}", "--node-prefix=node-",
                f"--agents={AGENTS}", f"--holding={HOLDING}", f"--changes={CHANGES}", "--announce",
                f"--watched=Kubernetes//Pod/{changing['namespace']}/{changing['name']}")
    figures["agents"] = AGENTS
    figures["agents_connected_seconds"] = took["connected"]
    figures["change_to_agents_ms"] = {
        f"{which}_agent": {"median": statistics.median(took[which]) * 1000, "max": max(took[which]) * 1000}
        for which in ("first", "last")}
    assert len(took["last"]) == CHANGES and min(took["first"]) > 0
    assert statistics.median(took["last"]) < CHANGE_MEDIAN_SECONDS_MAX
    assert took["connected"] < CONNECTED_SECONDS_MAX
