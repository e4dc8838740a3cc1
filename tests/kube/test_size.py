"""The controller at size, against a real API server and etcd alone: 10 000 pods behind 1 000 services."""

import json
import os
import pathlib
import statistics
import sys

import pytest
from kube.cluster import Cluster
from kube.test_source import Controller

PODS = int(os.environ.get("HEDDLE_SIZE_PODS", "10000"))
SERVICES = PODS // 10
CHANGES = 100
LOADER = pathlib.Path(__file__).with_name("loader.py")

# Far above what is measured, for slow machines: what grows with the square of something does not stay below.
READY_SECONDS = 60
RSS_MAX_MB = 120
COLD_CPU_SECONDS_MAX = 15
CHANGE_MEDIAN_SECONDS_MAX = 0.5

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
    """What is measured, printed at the end (and written, with HEDDLE_SIZE_RESULTS=FILE)."""
    made = {"pods": PODS, "services": SERVICES}
    yield made
    print("\n" + json.dumps(made, indent=2))
    if "HEDDLE_SIZE_RESULTS" in os.environ:
        pathlib.Path(os.environ["HEDDLE_SIZE_RESULTS"]).write_text(json.dumps(made, indent=2) + "\n", encoding="utf-8")


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
