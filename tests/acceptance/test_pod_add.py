"""What the mesh adds to the making of a pod's sandbox, by the log of containerd: without Heddle, and with it."""

import re

import pytest
import yaml
from acceptance import results
from acceptance.namespace import LABEL, pod, pod_spec
from acceptance.shop import IDLE
from topology.waiting import wait_until

SINGLE = 20  # One after the other, on an empty node.
CROWD = 50
AT_ONCE = 10
BATCHES = 3
NAME = "sandboxes"
BOUND_SECONDS = 5.0  # Generous: two busy cores. The figures are for people.
_LINE = re.compile(r'time="\S+T(\d+):(\d+):([\d.]+)\S*" .*RunPodSandbox for &PodSandboxMetadata{Name:([\w-]+),'
                   r'.*?}( returns sandbox id)?')


def durations(node, names):
    """Seconds from the kubelet's request to containerd's answer."""
    began, took = {}, {}
    for line in node.containerd.output().splitlines():
        if found := _LINE.search(line):
            hours, minutes, seconds, name, returned = found.groups()
            now = int(hours) * 3600 + int(minutes) * 60 + float(seconds)
            if returned:
                took[name] = (now - began[name]) % 86400
            else:
                began.setdefault(name, now)
    return [took[name] for name in names]


class Sandboxes:
    def __init__(self, cluster, prefix):
        self.cluster, self.node, self.prefix = cluster, cluster.nodes[0], prefix

    def start(self, names):
        objects = [pod(name, pod_spec([IDLE], node=self.node.name)) for name in names]
        self.kubectl("create", "--filename=-", input=yaml.safe_dump_all(objects))
        self.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), "--timeout=180s", timeout=190)

    def remove(self, *names):
        self.kubectl("delete", "--grace-period=0", "--force", *(f"pod/{name}" for name in names), timeout=190)
        wait_until(lambda: not set(self.kubectl("get", "pods", "--output=name").split()) & {f"pod/{n}" for n in names},
                   "they are gone", 90, 0.5)

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl(arguments[0], f"--namespace={NAME}", *arguments[1:], **options)

    def one_by_one(self):
        names = [f"{self.prefix}-single-{number}" for number in range(SINGLE)]
        for name in names:
            self.start([name])
            self.remove(name)
        return durations(self.node, names)

    def many_at_once(self):
        crowd = [f"{self.prefix}-crowd-{number}" for number in range(CROWD)]
        self.start(crowd)
        measured = []
        for batch in range(BATCHES):
            names = [f"{self.prefix}-batch-{batch}-{number}" for number in range(AT_ONCE)]
            self.start(names)
            self.remove(*names)
            measured += durations(self.node, names)
        self.remove(*crowd)
        return measured


def figures(cluster, prefix):
    sandboxes = Sandboxes(cluster, prefix)
    return {"one pod": sandboxes.one_by_one(), f"{AT_ONCE} at once beside {CROWD}": sandboxes.many_at_once()}


@pytest.fixture(scope="module")
def without(cluster):
    cluster.kubectl("create", "namespace", NAME)
    wait_until(lambda: cluster.find("serviceaccount", "default", NAME), "pods have an account", 30)
    return figures(cluster, "without")


@pytest.fixture(scope="module")
def with_mesh(cluster, without, request):
    release = request.getfixturevalue("release")
    cluster.kubectl("label", "namespace", NAME, f"{LABEL}=ambient")
    measured = figures(cluster, "with")
    assert release.metric(cluster.nodes[0], "heddle_pods_captured_running_total") == 0  # Each by its ADD.
    return measured


def test_sandboxes_are_made_in_time_with_and_without_the_mesh(without, with_mesh):
    for scene, before in without.items():
        after = with_mesh[scene]
        shown = {}
        for what, share in (("p50", 0.5), ("p99", 0.99)):
            bare, meshed = (results.percentile(values, share) for values in (before, after))
            shown[what] = {"without": round(bare, 4), "with": round(meshed, 4), "added": round(meshed - bare, 4)}
        results.record(f"sandbox_seconds, {scene}", samples=len(after), **shown)
        assert max(after) < max(before) + BOUND_SECONDS
