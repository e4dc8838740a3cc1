"""Figures that a run measured: printed, and kept in build/test-results/figures.json or where HEDDLE_FIGURES says."""

import fcntl
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def path():
    return pathlib.Path(os.environ.get("HEDDLE_FIGURES") or ROOT / "build/test-results/figures.json")


def record(name, **figures):
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    with open(file, "a+", encoding="utf-8") as kept:
        fcntl.flock(kept, fcntl.LOCK_EX)  # Several suites may run at a time.
        kept.seek(0)
        known = json.loads(kept.read() or "{}")
        known[name] = figures
        kept.truncate(0)
        kept.write(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"figures: {name}: {json.dumps(figures)}", flush=True)


def percentile(values, share):
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
