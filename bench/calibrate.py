#!/usr/bin/python3
"""Measures what the machine itself can do, and computes the limit of bulk through two proxies (B0)."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

_HERE = pathlib.Path(__file__).resolve().parent
ROOT = _HERE.parent
sys.path[:0] = [str(_HERE), str(ROOT / "tests")]

from heddle_bench import calibration  # noqa: E402  The path comes first.

_TARGETS = ("heddle-bench-load", "machine_bench", "machine_crypto_bench", "tls_engine_bench")


def main():
    parser = argparse.ArgumentParser(prog="bench/calibrate.py", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds; nothing to rely on")
    parser.add_argument("--foreign-max", type=float, default=0.05, metavar="SHARE",
                        help="foreign CPU that the run of T1 may see (default 0.05)")
    parser.add_argument("--json", type=pathlib.Path, metavar="FILE", help="where the figures go, too")
    arguments = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("calibrate: must be root: it makes network namespaces")
    for argv in (["cmake", "--preset", "release"], ["cmake", "--build", "build/release", "--target", *_TARGETS]):
        subprocess.run(argv, cwd=ROOT, stdout=subprocess.DEVNULL, check=True)
    found = calibration.calibrate(ROOT / "build/release/bin", arguments.quick, arguments.foreign_max)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1))
    print(calibration.render(found))


if __name__ == "__main__":
    main()
