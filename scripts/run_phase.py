#!/usr/bin/env python3
"""Runs the tests that CTest lists under one label and counts their cases; scripts/test.sh is its caller.

Usage: run_phase.py BUILD_DIR LABEL OUT_DIR [--match REGEX] [--jobs N] [--build | --build-only]
Test programs write JUnit-like XML (GoogleTest and pytest both can), so cases are counted, not programs; a program
without such a report counts as one case. Appends "LABEL passed failed skipped" to OUT_DIR/counts.
As in CTest, a test with a higher COST starts earlier, and one that is RUN_SERIAL has the machine for itself.
"""

import argparse
import concurrent.futures
import dataclasses
import json
import os
import pathlib
import re
import subprocess
import sys
import xml.etree.ElementTree

PHASE_LABELS = ("unit", "sim", "bpf", "netns", "e2e", "fuzz", "tools", "kube")
# Beside the one above: tests that also run in a build of their own.
EXTRA_LABELS = ("tsan",)


@dataclasses.dataclass
class Counts:
    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other):
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)


@dataclasses.dataclass
class Test:
    name: str
    labels: list
    cost: float = 0
    alone: bool = False


def list_tests(build):
    """All tests; one that belongs to no phase, or to two, is an error and not a silence."""
    listing = subprocess.run(["ctest", "--test-dir", build, "--show-only=json-v1"], check=True, capture_output=True)
    tests = []
    for test in json.loads(listing.stdout)["tests"]:
        properties = {each["name"]: each["value"] for each in test.get("properties", [])}
        labels = properties.get("LABELS", [])
        if len(set(labels) & set(PHASE_LABELS)) != 1 or set(labels) - set(PHASE_LABELS) - set(EXTRA_LABELS):
            sys.exit(f"test {test['name']} has labels {labels}; it needs one of {PHASE_LABELS}, or no phase runs it")
        tests.append(Test(test["name"], labels, properties.get("COST", 0), properties.get("RUN_SERIAL", False)))
    return tests


def count_report(path):
    """Counts of a JUnit or GoogleTest XML report, None when there is none that can be read."""
    try:
        root = xml.etree.ElementTree.parse(path).getroot()
    except (OSError, xml.etree.ElementTree.ParseError):
        return None
    counts = Counts()
    for case in root.iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            counts.failed += 1
        elif case.find("skipped") is not None or case.get("status") == "notrun":
            counts.skipped += 1
        else:
            counts.passed += 1
    return counts


def run_test(build, name, out):
    report = out / f"{name}.xml"
    report.unlink(missing_ok=True)
    environment = dict(os.environ, GTEST_OUTPUT=f"xml:{report}", GTEST_COLOR="no",
                       PYTEST_ADDOPTS=f"--junitxml={report}")
    done = subprocess.run(["ctest", "--test-dir", build, "-R", f"^{re.escape(name)}$", "--output-on-failure", "-O",
                           str(out / f"{name}.log")], env=environment, capture_output=True, text=True)
    counts = count_report(report)
    if counts is None:
        return done, Counts(failed=1) if done.returncode else Counts(passed=1)
    if done.returncode and counts.failed == 0:  # It crashed, timed out, or leaked.
        counts.failed = 1
    return done, counts


def build_targets(build, names):
    """Builds just the programs of these tests. Tests that run scripts have no target of their name."""
    known = subprocess.run(["ninja", "-C", build, "-t", "targets", "all"], check=True, capture_output=True, text=True)
    targets = {line.split(":")[0] for line in known.stdout.splitlines()}
    wanted = [name for name in names if name in targets]
    return not wanted or subprocess.run(["ninja", "-C", build, *wanted]).returncode == 0


def run_side_by_side(args, names, jobs):
    total = Counts()
    with concurrent.futures.ThreadPoolExecutor(max_workers=jobs) as pool:
        runs = {name: pool.submit(run_test, args.build_dir, name, args.out_dir) for name in names}
        for name, run in runs.items():
            done, counts = run.result()
            total += counts
            if counts.failed:
                print(f"---- {name} failed:\n{done.stdout[-20000:]}{done.stderr[-4000:]}")
            if counts.skipped:
                print(f"---- {name}: {counts.skipped} skipped")
    return total


def run_all(args, tests):
    ordered = sorted(tests, key=lambda test: -test.cost)  # Stable: as they are listed where costs are the same.
    return (run_side_by_side(args, [test.name for test in ordered if not test.alone], args.jobs) +
            run_side_by_side(args, [test.name for test in ordered if test.alone], 1))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build_dir")
    parser.add_argument("label", choices=PHASE_LABELS + EXTRA_LABELS)
    parser.add_argument("out_dir", type=pathlib.Path)
    parser.add_argument("--match", default="", help="only tests whose name this regular expression finds")
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--build", action="store_true", help="build the tests' programs first")
    parser.add_argument("--build-only", action="store_true", help="build them, run and count nothing")
    args = parser.parse_args()
    args.out_dir.mkdir(parents=True, exist_ok=True)
    tests = [test for test in list_tests(args.build_dir)
             if args.label in test.labels and re.search(args.match, test.name)]
    built = not (args.build or args.build_only) or build_targets(args.build_dir, [test.name for test in tests])
    if args.build_only:
        return 0 if built else 1
    total = run_all(args, tests) if built else Counts(failed=1)
    with open(args.out_dir / "counts", "a") as counts:
        counts.write(f"{args.label} {total.passed} {total.failed} {total.skipped}\n")
    print(f"{args.label}: {len(tests)} programs, {total.passed} passed, {total.failed} failed, {total.skipped} skipped")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
