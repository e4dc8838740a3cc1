"""Latencies of all rounds as HdrHistogram logs, for whoever wants to plot or merge them with other tools.

The percentiles of the tables are not taken from them: those are exact."""

import pathlib
import subprocess
import sys

_DIGITS = 3
_HIGHEST_NS = 3_600_000_000_000


def write(python, samples, folder):
    """Turns samples/WORKLOAD.SUBJECT.NUMBER files into folder/WORKLOAD.SUBJECT.hlog; returns what went wrong, or an
    empty string. In a process of its own, which has the wheel."""
    done = subprocess.run([python, __file__, samples, folder], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stderr[-300:]


def _merge(files):
    import numpy
    from hdrh.histogram import HdrHistogram
    merged = HdrHistogram(1, _HIGHEST_NS, _DIGITS)
    for file in files:
        values, counts = numpy.unique(numpy.fromfile(file, dtype=numpy.int64), return_counts=True)
        for value, count in zip(values.tolist(), counts.tolist()):
            merged.record_value(max(1, value), count)
    return merged


def _main(samples, folder):
    from hdrh.log import HistogramLogWriter
    files = {}
    for file in samples.iterdir():
        files.setdefault(file.name.rpartition(".")[0], []).append(file)
    for name, rounds in files.items():
        with open(folder / f"{name}.hlog", "w") as output:
            writer = HistogramLogWriter(output)
            writer.output_log_format_version()
            writer.output_comment(f"{name}: latencies of {len(rounds)} rounds in nanoseconds")
            writer.output_legend()
            writer.output_interval_histogram(_merge(rounds), 0, 1000)


if __name__ == "__main__":
    _main(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2]))
