#!/usr/bin/python3
"""Says what changed beyond noise between two results: bench/compare.py OLD NEW, folders or results.json files."""

import argparse
import json
import pathlib
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(_HERE), str(_HERE.parent / "tests")]

from heddle_bench import comparison  # noqa: E402  The path comes first.


def _read(path):
    path = pathlib.Path(path)
    return json.loads((path / "results.json" if path.is_dir() else path).read_text())


def main():
    parser = argparse.ArgumentParser(prog="bench/compare.py", description=__doc__)
    parser.add_argument("old", type=_read, metavar="OLD")
    parser.add_argument("new", type=_read, metavar="NEW")
    arguments = parser.parse_args()
    print(comparison.render(arguments.old, arguments.new))


if __name__ == "__main__":
    main()
