"""Figures that a run measured: printed, and kept in build/test-results/figures.json or where HEDDLE_FIGURES says."""

import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parents[2]


def path():
    return pathlib.Path(os.environ.get("HEDDLE_FIGURES") or ROOT / "build/test-results/figures.json")


def record(name, **figures):
    file = path()
    file.parent.mkdir(parents=True, exist_ok=True)
    known = json.loads(file.read_text()) if file.exists() else {}
    known[name] = figures
    file.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n")
    print(f"figures: {name}: {json.dumps(figures)}", flush=True)


def percentile(values, share):
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
