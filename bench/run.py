#!/usr/bin/python3
"""Measures Heddle beside its peers. bench/run.py --help says how; bench/README.md what and why."""

import pathlib
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tests")]

from heddle_bench.cli import main  # noqa: E402  The path comes first.

if __name__ == "__main__":
    sys.exit(main())
