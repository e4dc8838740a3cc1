"""Results: one JSON document, and what a person reads. A losing row is printed like a winning one."""

import json
import os
import pathlib

from . import quiet, statistics
from .subjects import ALL

DIRECT = "direct"
OURS = "heddle"
SHARED = 0.25  # Of the machine: with more than this no figure means anything.


def document(machine, settings, subjects, workloads, outcomes):
    """`outcomes` is {workload name: {subject name: Outcome}}."""
    return {
        "machine": machine,
        "settings": settings,
        "subjects": {subject.name: {"handshake": subject.handshake, "notes": subject.notes} for subject in subjects},
        "workloads": {workload.name: {
            "title": workload.title,
            "metrics": [vars(metric) for metric in workload.metrics],
            "outcomes": {name: {"values": {metric: {str(number): value for number, value in rounds.items()}
                                           for metric, rounds in outcome.values.items()},
                                "voids": outcome.voids, "repeats": outcome.repeats}
                         for name, outcome in outcomes[workload.name].items()},
        } for workload in workloads if workload.name in outcomes},
    }


def number(value):
    """Three significant digits, without an exponent."""
    if value == 0:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _interval(values, unit=""):
    low, high = statistics.bootstrap(values)
    text = f"{number(statistics.median(values))}{unit}"
    return text if len(values) < 2 else f"{text} [{number(low)}, {number(high)}]"


def _against(metric, values, reference):
    """How the metric stands to the one of direct, in the same rounds."""
    if metric["against"] == "ratio":
        compared = statistics.ratios(values, reference)
        return f"{_interval(compared)} ×" if compared else ""
    if metric["against"] == "difference":
        compared = statistics.differences(values, reference)
        sign = "+" if compared and statistics.median(compared) >= 0 else ""
        return f"{sign}{_interval(compared)}" if compared else ""
    return ""


def cell(metric, values, reference):
    """Median (± MAD), and how it stands to direct."""
    if not values:
        return "–"
    rounds = list(values.values())
    text = number(statistics.median(rounds))
    if len(rounds) > 1:
        text += f" ± {number(statistics.mad(rounds))}"
    against = _against(metric, values, reference) if reference else ""
    return f"{text} ({against})" if against else text


def leader(outcomes, workloads, peers):
    """The best of the peers in the first metric of the first workload that any of them took part in; None before. Those
    that are for some workloads only do not lead."""
    peers = [name for name in peers if ALL[name].only is None]
    for workload in workloads:
        values = {name: {"values": outcome.values} for name, outcome in outcomes.get(workload.name, {}).items()}
        best = best_peer(vars(workload.metrics[0]), values, peers)
        if best is not None:
            return best
    return None


def best_peer(metric, outcomes, peers):
    """The name of the best of the peers in this metric, or None."""
    medians = {name: statistics.median(list(outcomes[name]["values"][metric["name"]].values())) for name in peers
               if outcomes.get(name, {}).get("values", {}).get(metric["name"])}
    if not medians:
        return None
    return (max if metric["better"] == "higher" else min)(medians, key=medians.get)


def verdicts(results, peers):
    """(workload, metric, median of ours, best peer, ratios of ours to it in the same rounds), for each metric that ours
    and a peer have."""
    for name, workload in results["workloads"].items():
        outcomes, ours = workload["outcomes"], workload["outcomes"].get(OURS, {}).get("values", {})
        for metric in workload["metrics"]:
            if metric["better"] not in ("higher", "lower"):
                continue
            peer = best_peer(metric, outcomes, peers)
            if peer is None or not ours.get(metric["name"]):
                continue
            compared = statistics.ratios(ours[metric["name"]], outcomes[peer]["values"][metric["name"]])
            if compared:
                yield name, metric, statistics.median(list(ours[metric["name"]].values())), peer, compared


def _headline(results, peers):
    lines = ["## Heddle against the best peer of each row", "",
             "| workload | | better is | heddle | best peer | heddle / peer |", "|---|---|---|---|---|---|"]
    rows = [f"| {name} | {metric['unit']} | {metric['better']} | {number(ours)} | {peer} | {_interval(compared)} |"
            for name, metric, ours, peer, compared in verdicts(results, peers)]
    return [*lines, *rows, ""] if rows else []


# What our own client and somebody else's do alike: (ours, its metric, theirs, its metric, who).
_ALIKE = (("T1", "gbit_s", "T1i", "gbit_s", "iperf3"), ("R0", "rps", "R1", "rps", "wrk"))


def _cross_checks(results):
    """What other clients say of the subjects that they were used with."""
    rows = []
    for ours, our_metric, theirs, their_metric, who in _ALIKE:
        one, other = (results["workloads"].get(name, {}).get("outcomes", {}) for name in (ours, theirs))
        for subject in one:
            values = [outcomes.get(subject, {}).get("values", {}).get(metric)
                      for outcomes, metric in ((one, our_metric), (other, their_metric))]
            if all(values):
                mine, yours = (statistics.median(list(each.values())) for each in values)
                rows.append(f"| {subject} | {ours} | {number(mine)} | {theirs}, {who} | {number(yours)} | "
                            f"{number(mine / yours)} |")
    if not rows:
        return []
    return ["## Our own client beside others", "",
            "Medians of other rounds each, for orientation. Ours compares every byte; it sends R0's requests with "
            "1 KiB, wrk sends them without a body.", "", "| subject | ours | | other | | ours / other |",
            "|---|---|---|---|---|---|", *rows, ""]


def _shared(foreign_max):
    if foreign_max > SHARED:
        return "**The machine was shared while this ran: these figures show that the suite works, no more.**"
    return (f"**Others may have had up to {foreign_max:.0%} of the machine in a run, {quiet.SHARE_MAX:.0%} is usual: "
            "only ratios of one round count.**")


def workload_markdown(name, workload):
    metrics, outcomes = workload["metrics"], workload["outcomes"]
    reference = outcomes.get(DIRECT, {}).get("values", {})
    lines = [f"## {name}: {workload['title']}", "",
             "| subject | " + " | ".join(metric["unit"] for metric in metrics) + " | void runs |",
             "|---" * (len(metrics) + 2) + "|"]
    for subject, outcome in outcomes.items():
        cells = [cell(metric, outcome["values"].get(metric["name"], {}),
                      reference.get(metric["name"]) if subject != DIRECT else None) for metric in metrics]
        voids = str(len(outcome["voids"]))
        if outcome["voids"]:
            voids += f": {outcome['voids'][-1]}".replace("|", "/").replace("\n", " ")[:120]
        lines.append(f"| {subject} | " + " | ".join(cells) + f" | {voids} |")
    return "\n".join([*lines, ""])


def markdown(results, peers):
    machine, settings = results["machine"], results["settings"]
    lines = ["# Benchmark results", "",
             f"{machine['date']}, commit {machine['commit']}, {machine['cpus']} × {machine['cpu']} "
             f"({', '.join(machine['flags'])}), {machine['memory_gb']} GB, Linux {machine['kernel']}.",
             f"{settings['rounds']} rounds of {settings['seconds']:g} s after {settings['warm_up']:g} s; runs with "
             f"more than {settings['foreign_max']:.0%} stolen or foreign CPU are void.", ""]
    if settings["foreign_max"] > quiet.SHARE_MAX:
        lines += [_shared(settings["foreign_max"]), ""]
    lines += ["Median ± MAD of all rounds; in brackets how it stands to `direct` in the same round, median and 95 % "
              "interval. Only these count: the machine's speed moves between rounds.", "",
              "| subject | TLS handshake | notes |", "|---|---|---|"]
    for name, subject in results["subjects"].items():
        lines.append(f"| {name} | {subject['handshake'] or 'none'} | {'; '.join(subject['notes'])} |")
    lines += ["", *_headline(results, peers), *_cross_checks(results)]
    lines += [workload_markdown(name, workload) for name, workload in results["workloads"].items()]
    return "\n".join(lines)


def write(folder, results, peers):
    """results.json and results.md, each whole."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in (("results.json", json.dumps(results, indent=1)), ("results.md", markdown(results, peers))):
        draft = folder / f".{name}.tmp"
        draft.write_text(text)
        os.rename(draft, folder / name)
    return folder / "results.md"
