"""What changed between two results, beyond noise."""

import dataclasses
import random

from . import quiet, report, statistics

NOISE = 0.03  # A change of a median by less than this is not told, whatever its interval says.


@dataclasses.dataclass(frozen=True)
class Change:
    workload: str
    subject: str
    metric: dict
    old: float
    new: float
    low: float   # Of new / old, 95 %.
    high: float
    by_ratio: bool  # The compared figures are ratios to direct.

    @property
    def is_real(self):
        """The interval leaves out "no change", and the change is not tiny."""
        return not self.low <= 1 <= self.high and abs(self.new / self.old - 1) >= NOISE

    @property
    def is_better(self):
        return (self.new > self.old) == (self.metric["better"] == "higher")


def _figures(metric, outcomes, subject):
    """Ratios to direct where the metric is compared so; otherwise the values themselves."""
    values = outcomes.get(subject, {}).get("values", {}).get(metric["name"], {})
    reference = outcomes.get(report.DIRECT, {}).get("values", {}).get(metric["name"], {})
    if metric["against"] == "ratio" and subject != report.DIRECT and reference:
        return statistics.ratios(values, reference), True
    return list(values.values()), False


def quotient_interval(old, new, seed=1, resamples=statistics.RESAMPLES):
    """95 % interval of median(new) / median(old) by resampling both."""
    draw = random.Random(seed)
    quotients = []
    for _ in range(resamples):
        below = statistics.median(draw.choices(old, k=len(old)))
        if below:
            quotients.append(statistics.median(draw.choices(new, k=len(new))) / below)
    return statistics.quantile(quotients, 0.025), statistics.quantile(quotients, 0.975)


def changes(old, new):
    """A Change for each figure that both results have."""
    for name, workload in new["workloads"].items():
        before = old["workloads"].get(name, {"outcomes": {}})
        for subject in workload["outcomes"]:
            for metric in workload["metrics"]:
                if metric["better"] not in ("higher", "lower"):
                    continue
                was, _ = _figures(metric, before["outcomes"], subject)
                now, by_ratio = _figures(metric, workload["outcomes"], subject)
                if was and now and statistics.median(was):
                    yield Change(name, subject, metric, statistics.median(was), statistics.median(now),
                                 *quotient_interval(was, now), by_ratio)


def render(old, new):
    """What changed, losses first; then what one of the results does not have."""
    lines = []
    if old["machine"]["cpu"] != new["machine"]["cpu"]:
        lines.append(f"Not the same machine: {old['machine']['cpu']} and {new['machine']['cpu']}. Only ratios to "
                     "direct mean anything.")
    for name, one in (("old", old), ("new", new)):
        if one["settings"]["foreign_max"] > quiet.SHARE_MAX:
            lines.append(f"The {name} results are of a machine that others used, too: they tell nothing about speed.")
    found = list(changes(old, new))
    real = sorted((change for change in found if change.is_real), key=lambda change: change.is_better)
    for change in real:
        kind = " (ratio to direct)" if change.by_ratio else ""
        lines.append(f"{'better' if change.is_better else 'WORSE '} {change.workload:4} {change.subject:12} "
                     f"{change.metric['unit']}{kind}: {report.number(change.old)} -> {report.number(change.new)}, "
                     f"× {change.new / change.old:.3f} [{change.low:.3f}, {change.high:.3f}]")
    lines.append(f"{len(real)} of {len(found)} figures changed beyond noise, from {old['machine']['commit']} to "
                 f"{new['machine']['commit']}")
    for text, one, other in (("only in the old results", old, new), ("only in the new results", new, old)):
        gone = [name for name in one["workloads"] if name not in other["workloads"]]
        if gone:
            lines.append(f"{text}: {', '.join(gone)}")
    return "\n".join(lines)
