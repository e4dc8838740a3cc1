"""The command line of bench/run.py."""

import argparse
import os
import pathlib
import resource
import subprocess
import shutil
import sys
import tempfile
import time

from . import histograms, machine, peers, plots, quiet, report, rounds, subjects, workloads
from .ground import Grounds
from .workloads.workload import Settings, shortened

ROOT = pathlib.Path(__file__).resolve().parents[2]
_TARGETS = ("heddle-agent", "heddle-cni", "heddle-controller", "heddle-bench-load", "heddle-bench-agents",
            "heddle-bench-capture")


def _names(known):
    def parse(text):
        names = text.split(",")
        unknown = [name for name in names if name not in known]
        if unknown:
            raise argparse.ArgumentTypeError(f"{', '.join(unknown)}: not among {', '.join(known)}")
        return names
    return parse


def _parser():
    parser = argparse.ArgumentParser(
        prog="bench/run.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Measures Heddle beside its peers in one run; bench/README.md says how.",
        epilog="workloads:\n" + "\n".join(f"  {name:6} {each.title}" for name, each in workloads.ALL.items()) +
               "\nsubjects:\n  " + ", ".join(subjects.ALL))
    parser.add_argument("--quick", action="store_true",
                        help="a first look: 3 rounds of 1 s and fewer workloads; no intervals to trust")
    parser.add_argument("--only", type=_names(workloads.ALL), metavar="T1,L1,...",
                        help=f"these workloads; default all, with --quick {','.join(workloads.QUICK)}")
    parser.add_argument("--subjects", type=_names(subjects.ALL), metavar="direct,heddle,...",
                        help="these subjects; default all, in sweeps (T1d, T8, ...) of the peers only the best")
    parser.add_argument("--rounds", type=int, help="default 10")
    parser.add_argument("--seconds", type=float, help="of each run; default 10")
    parser.add_argument("--warm-up", type=float, help="before each run; default 1")
    parser.add_argument("--foreign-max", type=float, default=quiet.SHARE_MAX, metavar="SHARE",
                        help="stolen or foreign CPU that a run may see; above it is repeated, then void (default "
                             "0.05). Results of a laxer run are marked")
    parser.add_argument("--bin", type=pathlib.Path, default=os.environ.get("HEDDLE_BIN"), metavar="DIR",
                        help="programs that are built already; default: build/release is built")
    parser.add_argument("--results", type=pathlib.Path, metavar="DIR", help="default bench/results/DATE-COMMIT")
    parser.add_argument("--histograms", action="store_true", help="write the latencies as HdrHistogram logs, too")
    parser.add_argument("--no-plots", action="store_true", help="needs no wheels, unless Envoy is among the subjects")
    parser.add_argument("--agent-flags", default="", metavar="FLAGS", help="for heddle-agent, e.g. '--backend epoll'")
    return parser


def _settings(arguments):
    quick = arguments.quick
    seconds = arguments.seconds or (1.0 if quick else 10.0)
    warm_up = arguments.warm_up if arguments.warm_up is not None else (0.3 if quick else 1.0)
    return arguments.rounds or (3 if quick else 10), Settings(seconds, warm_up, arguments.foreign_max,
                                                              arguments.samples)


def _build():
    print("bench: installing what building needs, and building (log: build/bench-build.log)", flush=True)
    log = ROOT / "build/bench-build.log"
    log.parent.mkdir(exist_ok=True)
    with open(log, "w") as output:
        for argv in (["scripts/deps.sh"], ["cmake", "--preset", "release"],
                     ["cmake", "--build", "build/release", "--target", *_TARGETS]):
            if subprocess.run(argv, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT).returncode != 0:
                sys.exit(f"bench: the build failed:\n{log.read_text()[-2000:]}")
    return ROOT / "build/release/bin"


class Progress:
    def __init__(self):
        self._started = time.monotonic()

    def note(self, text):
        print(f"bench {time.monotonic() - self._started:6.0f} s  {text}", flush=True)

    def run(self, workload, subject, number, text):
        self.note(f"{workload.name:5} round {number + 1:2}  {subject.name:12} {text}")


def _start(names, workload_names, grounds, progress):
    """All subjects of these names that any of these workloads is for."""
    started = []
    for name in names:
        only = subjects.ALL[name].only
        if only is not None and not set(only) & set(workload_names):
            continue
        subject = subjects.ALL[name](grounds)
        subject.start()
        progress.note(f"{name} carries connections" + (f" ({subject.handshake})" if subject.handshake else ""))
        started.append(subject)
    return started


def of_sweep(workload, running, best):
    """Sweeps leave out the peers that were not the best, and null2 where nothing is held against it."""
    out = set(subjects.PEERS) - {best} | (set() if workload.beside_null2 else {"null2"})
    return [subject for subject in running if subject.name not in out]


def _turns(workload, running, best, count, settings):
    """(subjects, settings, rounds) of a workload; where no peer is the best, sweeps have all of them."""
    if not workload.sweep:
        return running, settings, count
    count, settings = shortened(count, settings)
    return running if best is None else of_sweep(workload, running, best), settings, count


def _run(arguments, workload, running, outcomes, progress):
    """All subjects that were asked for by name take part in sweeps, too."""
    best = None
    if not arguments.subjects and not arguments.quick:
        best = report.leader(outcomes, [workloads.ALL[name] for name in outcomes], subjects.PEERS)
    running, settings, count = _turns(workload, running, best, *_settings(arguments))
    return rounds.run(workload, running, settings, count, progress.run)


def planned(chosen, running, count, settings, best=subjects.PEERS[0]):
    """Minutes that a run takes if nothing has to be repeated."""
    return sum(rounds.planned(workload, *_turns(workload, running, best, count, settings)) for workload in chosen) / 60


def _measure(arguments, binaries, progress):
    arguments.samples = pathlib.Path(tempfile.mkdtemp(prefix="heddle-bench-")) if arguments.histograms else None
    count, settings = _settings(arguments)
    names = arguments.only or (workloads.QUICK if arguments.quick else workloads.DEFAULT)
    chosen = [workloads.ALL[name]() for name in names]
    described = {"rounds": count, "seconds": settings.seconds, "warm_up": settings.warm_up,
                 "foreign_max": settings.foreign_max, "agent_flags": arguments.agent_flags}
    about = machine.describe()
    folder = arguments.results or ROOT / "bench/results" / f"{time.strftime('%Y%m%d-%H%M')}-{about['commit']}"
    with Grounds(binaries, arguments.agent_flags.split()) as grounds:
        running = _start(arguments.subjects or list(subjects.ALL), names, grounds, progress)
        outcomes = {}
        best = None if arguments.subjects or arguments.quick else subjects.PEERS[0]  # Whichever it will be.
        minutes = planned(chosen, running, count, settings, best)
        progress.note(f"about {minutes:.0f} minutes, and what has to be repeated")
        for workload in chosen:
            progress.note(f"{workload.name}: {workload.title}")
            outcomes[workload.name] = _run(arguments, workload, running, outcomes, progress)
            results = report.document(about, described, running, chosen, outcomes)
            written = report.write(folder, results, subjects.PEERS)  # After each: what is known stays known.
    if settings.samples:
        failure = histograms.write(peers.venv_python(), settings.samples, folder)
        progress.note(f"no histograms: {failure}" if failure else "latencies written as HdrHistogram logs")
        shutil.rmtree(settings.samples)
    if not arguments.no_plots:
        plots.draw(folder, progress.note)
    return results, written


def main(argv=None):
    arguments = _parser().parse_args(argv)
    if os.geteuid() != 0:
        sys.exit("bench: must be root: it makes network namespaces and loads BPF programs")
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))  # Of all that is started from here.
    progress = Progress()
    binaries = arguments.bin or _build()
    try:
        results, written = _measure(arguments, binaries, progress)
    except KeyboardInterrupt:
        sys.exit(130)
    print(report.markdown(results, subjects.PEERS))
    progress.note(f"written: {written.parent}")
    void = sum(len(outcome["voids"]) for workload in results["workloads"].values()
               for outcome in workload["outcomes"].values())
    empty = [name for name, workload in results["workloads"].items()
             if any(not outcome["values"] for outcome in workload["outcomes"].values())]
    if void:
        progress.note(f"{void} runs were void; without any result: {', '.join(empty) or 'none'}")
    return 1 if empty else 0
