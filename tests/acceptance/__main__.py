"""A cluster with Heddle in it, to play with: scripts/kube-up.sh. `python3 -m kube` reaches into it and ends it."""

import argparse
import pathlib
import tempfile

from kube import __main__ as by_hand
from kube import build
from kube.cluster.node import CGROUP2

from .release import ROOT, Release, write_archives
from .shop import open_shop

TRY = """
Two nodes, Heddle, and a namespace `shop` of the mesh. From the top of this tree, a shell with kubectl, helm and
heddlectl for this cluster:

    PYTHONPATH=tests python3 -m kube{state} exec control

and in it:

    # what runs
    kubectl get pods --all-namespaces --output=wide
    # what an agent says
    ask_agent() {{ kubectl exec --namespace=heddle-system daemonset/heddle-agent --container=agent -- heddlectl "$@"; }}
    ask_agent status; ask_agent pods; ask_agent certificates
    # one pod asks a Service by its name
    kubectl exec --namespace=shop deployment/client -- sh -c \\
      'printf "GET /cgi-bin/whoami HTTP/1.0\\r\\n\\r\\n" | nc web 80'
    # plaintext is refused
    kubectl apply --filename=tests/acceptance/strict.yaml
    # another namespace, for pods of your own
    kubectl create namespace mine
    kubectl label namespace mine istio.io/dataplane-mode=ambient
    # the mesh leaves; after that "Install into a cluster" of README.md can be tried
    helm uninstall heddle --namespace=heddle-system

That install needs `--set agent.host.cgroup={cgroup}` here: nodes share this machine's cgroups. A node from inside, and
what the kernel says there of captured pods:

    PYTHONPATH=tests python3 -m kube{state} exec node1
    bpftool map dump pinned /sys/fs/bpf/heddle/v1/maps/hd_pods

scripts/kube-down.sh{state} takes it all away.
"""
BUILD = ROOT / "build/release"


def keep(state, nodes):
    def prepare(cluster):
        release = Release(cluster)
        release.install()
        open_shop(release)

    with tempfile.TemporaryDirectory() as folder:
        archives = write_archives(BUILD, pathlib.Path(folder))
        by_hand.keep(nodes, state, archives, prepare, (BUILD / "bin", build.build("helm")))


def main():
    parser = argparse.ArgumentParser(prog="scripts/kube-up.sh", description=__doc__)
    by_hand.add_state(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="start it")
    commands.add_parser("keep", help="hold it until a signal comes").add_argument("--nodes", type=int, required=True)
    args = parser.parse_args()
    if args.command == "keep":
        keep(args.state, args.nodes)
        return
    by_hand.up(2, args.state, "acceptance")
    other = "" if args.state == parser.get_default("state") else f" --state={args.state}"
    print(TRY.format(state=other, cgroup=CGROUP2))


if __name__ == "__main__":
    main()
