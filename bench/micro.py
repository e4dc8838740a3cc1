#!/usr/bin/python3
"""Runs the micro-benchmarks of this tree and of a commit in turns, and says what changed beyond noise (CPU time)."""

import argparse
import itertools
import json
import pathlib
import subprocess
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tests")]

from heddle_bench import comparison, machine, micro  # noqa: E402  The path comes first.

ROOT = _HERE.parent
BASE = ROOT / "build/bench-base"


def _git(*arguments):
    return subprocess.run(["git", "-C", ROOT, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def _base_tree(commit):
    """The commit's files, without git's own records of a worktree that nobody takes away."""
    folder = BASE / "src"
    folder.mkdir(parents=True, exist_ok=True)
    listed = subprocess.run(["git", "-C", ROOT, "archive", commit], capture_output=True, check=True).stdout
    for path in folder.iterdir():  # What is built stays: the next commit differs in little.
        if path.name != "build":
            subprocess.run(["rm", "-rf", path], check=True)
    subprocess.run(["tar", "-x", "-m", "-C", folder], input=listed, check=True)
    return folder


def _parser():
    parser = argparse.ArgumentParser(prog="bench/micro.py", description=__doc__)
    parser.add_argument("--against", default="HEAD", metavar="COMMIT",
                        help="compared with what is in this tree; default HEAD, and the commit before where nothing in "
                             "this tree has changed")
    parser.add_argument("--programs", type=lambda text: text.split(","), metavar="NAME,...",
                        help=f"these; default all: {', '.join(micro.programs(ROOT))}")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.05, help="least of each benchmark in a round")
    parser.add_argument("--only", metavar="REGEX", help="benchmarks with such names")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/bench-micro", metavar="DIR")
    return parser


def _measure(arguments, trees):
    """Results by tree name; both trees' programs take turns, each round the other way round."""
    found = {name: micro.Results(commit, arguments.seconds, arguments.rounds) for name, (commit, _) in trees.items()}
    common = [program for program in arguments.programs or micro.programs(ROOT)
              if all((folder / program).exists() for _, folder in trees.values())]
    for number in range(arguments.rounds):
        order = list(trees) if number % 2 == 0 else list(reversed(trees))
        print(f"micro: round {number + 1} of {arguments.rounds}", flush=True)
        for program, name in itertools.product(common, order):
            found[name].add(number, program, micro.run(trees[name][1] / program, arguments.seconds, arguments.only))
    return found


def main():
    arguments = _parser().parse_args()
    clean = not _git("status", "--porcelain", "--untracked-files=no")
    commit = _git("rev-parse", "--short=12", "HEAD~1" if arguments.against == "HEAD" and clean else arguments.against)
    BASE.mkdir(parents=True, exist_ok=True)
    print(f"micro: building this tree and {commit} (logs: build/bench-base/*.log)", flush=True)
    trees = {"old": (commit, micro.build(_base_tree(commit), BASE / "old.log", arguments.programs)),
             "new": (machine.commit(), micro.build(ROOT, BASE / "new.log", arguments.programs))}
    found = _measure(arguments, trees)
    for name, results in found.items():
        folder = arguments.results / name
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "results.json").write_text(json.dumps(results.document(), indent=1))
    print(comparison.render(found["old"].document(), found["new"].document()))


if __name__ == "__main__":
    main()
