"""What somebody does who has just got this tree: scripts/kube-up.sh, what it says to try, README.md's "Install into a
cluster" word by word, scripts/kube-down.sh. What each command said is in the test's output."""

import contextlib
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest
from acceptance.release import ROOT
from kube.cluster import boot
from kube.cluster.node import CGROUP2
from topology.sweep import belongings
from topology.waiting import Timeout, wait_until

SECONDS = 600  # The first time somebody waits longer; here everything is built.


def run(argv, input=None, check=True):
    """What it said, printed; a failure shows it."""
    done = subprocess.run([*map(str, argv)], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
                          input=input, text=True, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    print(f"$ {input or ' '.join(map(str, argv))}\n{done.stdout}", flush=True)
    assert not check or done.returncode == 0, f"exit code {done.returncode}: {input or argv}\n{done.stdout}"
    return done.stdout


class ByHand:
    """The cluster of kube-up.sh, reached as it says."""

    def __init__(self, state):
        self.option = f"--state={state}"
        self.advice = run(["scripts/kube-up.sh", self.option])
        self.keeper = json.loads(state.read_text())["keeper"]

    def shell(self, script, check=True):
        """In the shell that kube-up.sh names."""
        bash = ["bash", "-euo", "pipefail"]
        return run([sys.executable, "-m", "kube", self.option, "exec", "control", *bash], script, check)

    def on_node(self, node, *argv):
        return run([sys.executable, "-m", "kube", self.option, "exec", node, *argv])

    def down(self):
        return run(["scripts/kube-down.sh", self.option])


def processes(prefix):
    """Those that are told by their cgroup, command line or surroundings to belong to it."""
    found = []
    for process in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            said = b"".join((process / file).read_bytes() for file in ("cgroup", "cmdline", "environ"))
        except OSError:
            continue  # It has ended.
        if prefix.encode() in said:
            found.append(process.name)
    return found


def traces(keeper):
    """{what: which} of the keeper's clusters on this machine."""
    prefix = f"hd{keeper}-"
    paths = [str(path) for path in belongings(keeper)]
    mounts = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if prefix in line]
    return {"folders, namespaces and cgroups": paths, "mounts": mounts, "processes": processes(prefix)}


def links():
    """Of the machine's own network."""
    return set(os.listdir("/sys/class/net"))


def settings():
    return {key: pathlib.Path("/proc/sys", key).read_text() for key in boot.MACHINE_WIDE}


def blocks(text, indent):
    """The lines that are so much indented, at least, each block as one script."""
    found, lines = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith(" " * indent):
            lines.append(line[indent:])
        elif lines:
            found.append("\n".join(lines) + "\n")
            lines = []
    return found


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory() as made:
        yield pathlib.Path(made)


@pytest.fixture(scope="module")
def before():
    return {"links": links(), "settings": settings()}


@pytest.fixture(scope="module")
def up(before, folder):
    made = ByHand(folder / "cluster.json")
    yield made
    if (folder / "cluster.json").exists():
        made.down()


def test_what_kube_up_says_to_try_works(up):
    shell, in_it, node = [block for block in blocks(up.advice, 4) if "kube" in block]
    assert shell == f"PYTHONPATH=tests python3 -m kube {up.option} exec control\n"
    enter, dump = node.splitlines()
    assert enter == f"PYTHONPATH=tests python3 -m kube {up.option} exec node1"
    assert '"name": "shop/web-' in up.on_node("node1", *dump.split())
    said = up.shell(in_it)
    assert "shop/web-" in said and "spiffe://cluster.local/ns/shop/sa/web" in said
    assert re.search(r"^10\.244\.\d+\.\d+ web-\S+$", said, re.M)  # The client's address, and who answered.
    assert 'release "heddle" uninstalled' in said


def step(number):
    """The scripts of one of the README's steps."""
    section = (ROOT / "README.md").read_text().partition("## Install into a cluster")[2].partition("\n## ")[0]
    return blocks(re.split(r"^\d\. ", section, flags=re.M)[number], 7)


@pytest.fixture(scope="module")
def installed(up):
    """Steps 1 to 3, where Istio's kinds and the namespace `shop` are already."""
    up.shell("kubectl label namespace shop istio.io/dataplane-mode-\n")
    images, = step(1)
    run(["bash", "-euo", "pipefail"], images)
    for node in ("node1", "node2"):
        for image in ("agent", "controller"):
            archive, = (ROOT / "build/images").glob(f"heddle-{image}-*.tar")
            up.on_node(node, "ctr", "--namespace=k8s.io", "images", "import", archive)
    install, = step(3)
    # "Where cgroup2 is not at /sys/fs/cgroup."
    said = up.shell(install.replace("--set ", f"--set agent.host.cgroup={CGROUP2} --set ", 1))
    assert "STATUS: deployed" in said and "successfully rolled out" in said
    return up


def test_the_install_of_the_readme_takes_pods_in_and_lets_them_go(installed):
    take_in, refuse = step(4)
    installed.shell(take_in)
    pods = take_in.splitlines()[1]
    wait_until(lambda: "shop/web-" in installed.shell(pods), "its pods are captured", 60, 1)
    assert "peerauthentication.security.istio.io/default" in installed.shell(refuse)
    ask = """kubectl exec --namespace=shop deployment/client -- sh -c \
      'printf "GET /cgi-bin/whoami HTTP/1.0\\r\\n\\r\\n" | nc -w 5 web 80'\n"""
    wait_until(lambda: "web-" in installed.shell(ask, check=False), "a client on either node is in the mesh", 60, 1)
    out, = step(5)
    assert 'release "heddle" uninstalled' in installed.shell(out)
    wait_until(lambda: "web-" in installed.shell(ask, check=False), "they talk without it", 30, 1)


def test_kube_down_leaves_no_trace(up, before, folder):
    there = traces(up.keeper)
    assert there["folders, namespaces and cgroups"] and there["processes"]  # So that their absence says something.
    up.down()
    # What has ended is reaped by this machine's first process, when it comes to it.
    with contextlib.suppress(Timeout):
        wait_until(lambda: not any(traces(up.keeper).values()), "nothing is left of it", 30, 0.5)
    assert traces(up.keeper) == {what: [] for what in there}
    assert list(folder.iterdir()) == []
    assert {"links": links(), "settings": settings()} == before
