import argparse
import signal
import sys
import time

from topology import Topology

from .scene import Scene
from .steps import STEPS

_TRY = """
Everything keeps running until Ctrl-C. Try, in another terminal:
  a shell in the client pod    sh -c 'echo $$ >{client_cgroup}/cgroup.procs; exec nsenter --net={client_netns} sh'
  the shop from there          curl http://{service}/whoami
  policies                     ls {config}; edit one, or write a new one beside it
  who is captured              bpftool map dump pinned {pins}/maps/hd_pods
  the access log               tail -f {agent_log}
  what heddlectl knows         {heddlectl} --help
"""


def run_steps(scene):
    """Runs all steps; one that fails is reported, and the next ones still run."""
    failures = 0
    for letter, title, step in STEPS:
        started = time.monotonic()
        try:
            observed, mark = step(scene), "ok  "
        except Exception as error:  # A step may fail in any way; the demo says how.
            observed, mark = f"{type(error).__name__}: {error}", "FAIL"
            failures += 1
        print(f"{mark} {letter}. {title}\n        {observed}  [{time.monotonic() - started:.1f} s]", flush=True)
    return failures


def main():
    parser = argparse.ArgumentParser(prog="scripts/demo.sh")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print what to try")
    arguments = parser.parse_args()
    started = time.monotonic()
    with Topology(nodes=2, mesh=True) as topology:
        scene = Scene(topology)
        scene.start()
        print(f"demo: controller, 2 agents and {len(scene.pods)} pods are up after {time.monotonic() - started:.1f} s")
        failures = run_steps(scene)
        total = len(STEPS)
        print(f"demo: {total - failures} of {total} steps passed, {time.monotonic() - started:.1f} s")
        if arguments.keep:
            print(_TRY.format(**scene.hints()), flush=True)
            signal.pause()
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
