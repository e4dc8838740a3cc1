#!/usr/bin/env python3
"""How much of what a fuzz target is there for its corpus runs. Usage: fuzz_coverage.py BUILD_DIR [TARGET...]

BUILD_DIR is a build of the preset "coverage". Replays each corpus and prints, per file that the target's COVERS names
(see heddle_fuzz in cmake/HeddleTargets.cmake), the share of its lines that ran; with --lines also those that did not.
Exit code 1 when a file is below the least share: a corpus that never reaches the code has fuzzed nothing.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import subprocess
import sys
import tempfile

PERCENT_MIN = 80
LLVM = "-19"


@dataclasses.dataclass
class Target:
    name: str
    corpus: str
    covers: list


def read_targets(text):
    """Lines "target corpus file...", as tests/CMakeLists.txt writes them."""
    targets = []
    for line in text.splitlines():
        if not line.strip():
            continue
        name, corpus, *covers = line.split()
        targets.append(Target(name, corpus, [os.path.normpath(path) for path in covers]))
    return targets


def judge(target, percents):
    """(table rows, offences); percents: file -> share of lines that ran. A file that nobody measured is an offence."""
    rows, offences = [], []
    for path in target.covers:
        percent = percents.get(path)
        if percent is None:
            offences.append(f"{target.name}: {os.path.relpath(path)} is not in the program; mend its COVERS")
            continue
        rows.append((percent, path))
        if percent < PERCENT_MIN:
            share = f"runs {percent:.0f} % of {os.path.relpath(path)}, less than {PERCENT_MIN} %"
            offences.append(f"{target.name}: its corpus {share}")
    return rows, offences


def line_percents(report):
    """From llvm-cov's JSON export."""
    return {os.path.normpath(file["filename"]): file["summary"]["lines"]["percent"]
            for data in report["data"] for file in data["files"]}


def measure(program, target, scratch, show_lines):
    raw, profile = scratch / f"{target.name}.profraw", scratch / f"{target.name}.profdata"
    subprocess.run([program, target.corpus], check=True, stdout=subprocess.DEVNULL,
                   env=dict(os.environ, LLVM_PROFILE_FILE=str(raw)))
    subprocess.run([f"llvm-profdata{LLVM}", "merge", "-sparse", "-o", profile, raw], check=True)
    if show_lines:
        subprocess.run([f"llvm-cov{LLVM}", "show", program, f"-instr-profile={profile}", "-region-coverage-lt=100",
                        "-show-line-counts-or-regions", "-use-color=0", *target.covers], check=True)
    report = subprocess.run([f"llvm-cov{LLVM}", "export", "-summary-only", program, f"-instr-profile={profile}",
                             *target.covers], check=True, capture_output=True)
    return line_percents(json.loads(report.stdout))


def run_quietly(*command):
    """Its output is of interest when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stdout[-8000:] + done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build_dir", type=pathlib.Path)
    parser.add_argument("targets", nargs="*", help="all when none is named")
    parser.add_argument("--lines", action="store_true", help="print the files with a count for each line")
    args = parser.parse_args()
    run_quietly("cmake", args.build_dir)  # Writes the list anew.
    targets = read_targets((args.build_dir / "fuzz_corpora.txt").read_text())
    if args.targets:
        targets = [target for target in targets if target.name in args.targets]
    if not targets:
        sys.exit("no fuzz target of that name")
    run_quietly("cmake", "--build", args.build_dir, "--target", *[target.name for target in targets])
    failures = []
    with tempfile.TemporaryDirectory() as scratch:
        for target in targets:
            program = args.build_dir / "bin" / target.name
            percents = measure(program, target, pathlib.Path(scratch), args.lines)
            rows, offences = judge(target, percents)
            print(f"{target.name}, {len(os.listdir(target.corpus))} inputs")
            for percent, path in rows:
                print(f"  {percent:6.1f} %  {os.path.relpath(path)}")
            failures += offences
    print("\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
