"""The micro-benchmarks of two trees, in turns: what a change did to them, beyond noise. Results have the form of
bench/run.py's, one workload for each benchmark, so that bench/compare.py reads them."""

import json
import pathlib
import re
import subprocess

from . import machine, quiet

METRIC = {"name": "cpu_ns", "unit": "CPU ns", "better": "lower", "against": "none"}
SUBJECT = "heddle"
_PROGRAM = re.compile(r"^heddle_bench\((\w+)", re.M)
MACHINE = {"machine_bench", "machine_crypto_bench"}  # Measure the machine, not us.


def programs(root):
    """Names of the benchmark programs of a tree."""
    root = pathlib.Path(root)
    found = {name for path in root.rglob("CMakeLists.txt") if "build" not in path.relative_to(root).parts
             for name in _PROGRAM.findall(path.read_text(encoding="utf-8"))}
    return sorted(found - MACHINE)


def build(root, log, chosen=None):
    """Builds them, or those of `chosen` that the tree has; gives the folder of the programs."""
    root = pathlib.Path(root)
    targets = [name for name in programs(root) if chosen is None or name in chosen]
    with open(log, "w", encoding="utf-8") as output:
        for argv in (["cmake", "--preset", "release"],
                     ["cmake", "--build", "build/release", "--target", *targets]):
            subprocess.run(argv, cwd=root, stdout=output, stderr=subprocess.STDOUT, check=True)
    return root / "build/release/bin"


def run(program, seconds, only=None):
    """{benchmark: CPU ns of an iteration}. A benchmark that reports an error is an error."""
    argv = [program, "--benchmark_format=json", f"--benchmark_min_time={seconds}"]
    if only:
        argv.append(f"--benchmark_filter={only}")
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    return read(json.loads(done.stdout or '{"benchmarks": []}'))


def read(document):
    to_ns = {"ns": 1, "us": 1e3, "ms": 1e6, "s": 1e9}
    values = {}
    for each in document["benchmarks"]:
        if each.get("error_occurred"):
            raise RuntimeError(f"{each['name']}: {each.get('error_message')}")
        values[each["name"]] = each["cpu_time"] * to_ns[each["time_unit"]]
    return values


class Results:
    """Of one tree, gathered round by round."""

    def __init__(self, commit, seconds, rounds):
        self._about = {**machine.describe(), "commit": commit}
        self._settings = {"rounds": rounds, "seconds": seconds, "warm_up": 0, "foreign_max": quiet.SHARE_MAX,
                          "agent_flags": ""}
        self._values = {}

    def add(self, number, program, values):
        for name, value in values.items():
            self._values.setdefault(f"{program} {name}", {})[str(number)] = value

    def document(self):
        return {"machine": self._about, "settings": self._settings, "subjects": {},
                "workloads": {name: {"title": name, "metrics": [METRIC],
                                     "outcomes": {SUBJECT: {"values": {METRIC["name"]: values}, "voids": []}}}
                              for name, values in self._values.items()}}
