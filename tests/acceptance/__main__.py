"""A cluster with Heddle in it, to play with: scripts/kube-up.sh. `python3 -m kube` reaches into it and ends it."""

import argparse
import pathlib
import tempfile

from kube import __main__ as by_hand

from .release import ROOT, Release, write_archives
from .shop import open_shop

TRY = """
Two nodes, Heddle, and a namespace `shop` of the mesh. As the cluster's administrator, from anywhere in this tree:

    alias kubectl='PYTHONPATH={tests} python3 -m kube kubectl' helm='PYTHONPATH={tests} python3 -m kube helm'
    kubectl get pods --all-namespaces --output=wide
    heddlectl() {{ kubectl exec --namespace=heddle-system daemonset/heddle-agent --container=agent -- heddlectl "$@"; }}
    heddlectl status; heddlectl pods; heddlectl connections

  ask a Service from a pod      kubectl exec -n shop deployment/client -- sh -c \
                                  'printf "GET /cgi-bin/whoami HTTP/1.0\\r\\n\\r\\n" | nc {web} 80'
  refuse plaintext              kubectl apply -f {tests}/acceptance/strict.yaml
  another namespace, with pods  kubectl label namespace NAME istio.io/dataplane-mode=ambient
  a shell on a node             PYTHONPATH={tests} python3 -m kube exec node1
  the node's own view           ... exec node1 bpftool map dump pinned /sys/fs/bpf/heddle/v1/maps/hd_pods
  uninstall                     helm uninstall heddle --namespace=heddle-system

scripts/kube-down.sh takes it all away.
"""


def keep(state, nodes):
    def prepare(cluster):
        release = Release(cluster)
        release.install()
        open_shop(release)
        state.with_suffix(".try").write_text(TRY.format(tests=ROOT / "tests", web="web"))

    with tempfile.TemporaryDirectory() as folder:
        archives = write_archives(ROOT / "build/release", pathlib.Path(folder))
        by_hand.keep(nodes, state, archives, prepare)


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
    advice = args.state.with_suffix(".try")
    print(advice.read_text())
    advice.unlink()


if __name__ == "__main__":
    main()
