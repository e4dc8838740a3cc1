"""The test cluster by hand: PYTHONPATH=tests python3 -m kube up|kubectl|helm|exec|down; see README.md here."""

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

from topology import sweep
from topology.waiting import wait_until

from . import build
from .cluster import Cluster

UP_SECONDS = 3600  # The first time it builds Kubernetes.
DOWN_SECONDS = 60


def keep(nodes, state, images=(), prepare=lambda cluster: None, tools=()):
    """Holds the cluster for as long as this process lives; the state file says how to reach it, and in which more
    folders there are programs for its administrator."""
    with Cluster(nodes=nodes, images=images, dns=True) as cluster:
        prepare(cluster)
        unfinished = state.with_suffix(".new")
        path = ":".join([*map(str, tools), cluster.programs.search_path()])
        unfinished.write_text(json.dumps({
            "keeper": os.getpid(), "dir": str(cluster.dir),
            "environment": {**cluster.control.environment, "PATH": path},
            "machines": {name: ["nsenter", *place.namespaces(), "--"] for name, place in
                         {"control": cluster.control, **{node.name: node for node in cluster.nodes}}.items()},
        }))
        unfinished.rename(state)
        try:
            signal.pause()  # SIGTERM and SIGINT end it, through the `with`.
        finally:
            state.unlink(missing_ok=True)


def up(nodes, state, module="kube"):
    """`keep` of the module holds it."""
    if read(state) is not None:
        sys.exit(f"kube: a cluster is up already ({state}); take it down first: python3 -m kube down")
    sweep.main()  # What a killed keeper has left.
    state.unlink(missing_ok=True)
    state.parent.mkdir(parents=True, exist_ok=True)
    log = state.with_suffix(".log")
    started = time.monotonic()
    for name in ("kubernetes", "coredns"):
        build.build(name)  # Here, so that its progress shows.
    with open(log, "wb") as output:
        keeper = subprocess.Popen([sys.executable, "-m", module, f"--state={state}", "keep", f"--nodes={nodes}"],
                                  stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True)
    try:
        wait_until(lambda: state.exists() or keeper.poll() is not None, "the cluster comes up", UP_SECONDS, 0.1)
    except BaseException:
        keeper.terminate()
        keeper.wait(DOWN_SECONDS)
        raise
    if keeper.poll() is not None:
        sys.exit(f"kube: the cluster did not come up:\n{log.read_text()[-4000:]}")
    found = read(state)
    print(f"kube: up after {time.monotonic() - started:.1f} s; files and logs: {found['dir']}")


def down(state):
    found = read(state)
    if found is None:
        sweep.main()
        state.unlink(missing_ok=True)
        print("kube: no cluster is up")
        return
    os.kill(found["keeper"], signal.SIGTERM)
    wait_until(lambda: _is_gone(found["keeper"]), "the cluster goes", DOWN_SECONDS)
    state.with_suffix(".log").unlink(missing_ok=True)
    print("kube: down")


def _is_gone(pid):
    """Also when whoever should reap it has not done so yet."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def read(state):
    """What the keeper wrote, None when there is no cluster that lives."""
    if not state.exists():
        return None
    found = json.loads(state.read_text())
    return None if _is_gone(found["keeper"]) else found


def become(state, argv):
    """Runs the program in this one's place."""
    found = read(state)
    if found is None:
        sys.exit("kube: no cluster is up; start one: python3 -m kube up")
    os.environ.update(found["environment"])
    os.execvp("nsenter", argv(found))


def add_state(parser):
    parser.add_argument("--state", type=pathlib.Path, default=build.cache_folder() / "cluster.json",
                        help="the file that says which cluster is up; another file, another cluster")


def main():
    parser = argparse.ArgumentParser(prog="python3 -m kube", description="The Kubernetes test cluster by hand.")
    add_state(parser)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, sentence in (("up", "start a cluster"), ("keep", "hold a cluster until a signal comes (up runs this)")):
        commands.add_parser(name, help=sentence).add_argument(
            "--nodes", type=int, default=2, choices=range(5), help="0: etcd and the API server alone")
    commands.add_parser("down", help="take the cluster away without a trace")
    verbatim = {"add_help": False, "prefix_chars": "\0"}  # Options that follow are the program's.
    for name in ("kubectl", "helm"):
        command = commands.add_parser(name, help="as the cluster's administrator", **verbatim)
        command.add_argument("argv", nargs=argparse.REMAINDER)
    command = commands.add_parser("exec", help="run a program, or a shell, on a node or on the machine `control`",
                                  **verbatim)
    command.add_argument("machine")
    command.add_argument("argv", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    if args.command in ("kubectl", "helm"):
        program = args.command if args.command == "kubectl" else build.build("helm") / "helm"
        become(args.state, lambda found: [*found["machines"]["control"], str(program), *args.argv])
    elif args.command == "exec":
        become(args.state, lambda found: [*found["machines"][args.machine], *(args.argv or ["bash"])])
    elif args.command == "down":
        down(args.state)
    else:
        {"up": up, "keep": keep}[args.command](args.nodes, args.state)


if __name__ == "__main__":
    main()
