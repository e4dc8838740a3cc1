"""Bars with intervals, drawn by matplotlib of the benchmark's own virtual environment; without it, no plots."""

import json
import pathlib
import subprocess
import sys

try:
    from . import peers
except ImportError:  # Run as a program, to draw.
    peers = None


def draw(folder, say):
    """One SVG per workload, in a process of its own: this one needs no wheels."""
    try:
        python = peers.venv_python()
    except (OSError, subprocess.CalledProcessError) as why:
        say(f"no plots: {why}")
        return
    done = subprocess.run([python, __file__, folder], capture_output=True, text=True)
    if done.returncode != 0:
        say(f"no plots: {done.stderr[-300:]}")


def _plot(pyplot, folder, name, workload):
    metric = workload["metrics"][0]
    rows = [(subject, list(outcome["values"].get(metric["name"], {}).values()))
            for subject, outcome in workload["outcomes"].items()]
    rows = [(subject, sorted(values)) for subject, values in rows if values]
    if not rows:
        return
    middles = [(values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2 for _, values in rows]
    errors = [[middle - values[0] for middle, (_, values) in zip(middles, rows)],
              [values[-1] - middle for middle, (_, values) in zip(middles, rows)]]
    figure, axes = pyplot.subplots(figsize=(7, 0.5 * len(rows) + 1.2))
    colors = ["tab:blue" if subject == "heddle" else "lightgray" for subject, _ in rows]
    axes.barh([subject for subject, _ in rows], middles, xerr=errors, color=colors, capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel(f"{metric['unit']} (median; whiskers: all rounds)")
    axes.set_title(f"{name}: {workload['title']}", fontsize=10)
    figure.tight_layout()
    figure.savefig(folder / f"{name}.svg")
    pyplot.close(figure)


def _main(folder):
    import matplotlib
    matplotlib.use("svg")
    from matplotlib import pyplot
    for name, workload in json.loads((folder / "results.json").read_text())["workloads"].items():
        _plot(pyplot, folder, name, workload)


if __name__ == "__main__":
    _main(pathlib.Path(sys.argv[1]))
