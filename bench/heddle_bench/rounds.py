"""Takes turns: every subject in every round, each round in the other direction (ABBA), so that what drifts hits all."""

import dataclasses
import subprocess

from topology import Timeout
from topology.chain import CniError
from topology.process import CommandFailed

from .load import Noisy, Void

TRIES_MAX = 3  # Of one run, when somebody else had the machine.
_FAILURES = (Timeout, CniError, CommandFailed, subprocess.TimeoutExpired, OSError)


@dataclasses.dataclass
class Outcome:
    """Of one workload and subject: values by metric and round, why rounds are void, and how many runs were repeated."""
    values: dict = dataclasses.field(default_factory=dict)
    voids: list = dataclasses.field(default_factory=list)
    repeats: int = 0

    def add(self, number, measured):
        for metric, value in measured.items():
            self.values.setdefault(metric, {})[number] = value


def order(subjects, number):
    return list(subjects) if number % 2 == 0 else list(reversed(subjects))


def measure(workload, subject, settings, outcome):
    """One run, repeated while the machine is noisy. Whatever else goes wrong makes this run void, and no other."""
    for attempt in range(1, TRIES_MAX + 1):
        try:
            return workload.measure(subject, settings)
        except Noisy:
            if attempt == TRIES_MAX:
                raise
            outcome.repeats += 1
        except _FAILURES as why:
            raise Void(f"{type(why).__name__}: {why}") from why


def planned(workload, subjects, settings, rounds):
    """Seconds that run() takes if nothing has to be repeated."""
    return rounds_of(workload, rounds) * len(suited(workload, subjects)) * workload.planned(settings)


def rounds_of(workload, rounds):
    return min(rounds, workload.rounds_max or rounds)


def suited(workload, subjects):
    return [subject for subject in subjects
            if workload.suits(subject) and (subject.only is None or workload.name in subject.only)]


def run(workload, subjects, settings, rounds, say):
    """{subject name: Outcome}. A void run leaves its round empty; it never counts as zero."""
    taking_part = suited(workload, subjects)
    outcomes = {subject.name: Outcome() for subject in taking_part}
    for number in range(rounds_of(workload, rounds)):
        for subject in order(taking_part, number):
            try:
                measured = measure(workload, subject, settings, outcomes[subject.name])
            except Void as why:
                outcomes[subject.name].voids.append(str(why))
                say(workload, subject, number, f"void: {why}")
                continue
            outcomes[subject.name].add(number, measured)
            shown = [metric.name for metric in workload.metrics if metric.name in measured]
            say(workload, subject, number, ", ".join(f"{name} {measured[name]:.4g}" for name in shown))
    return outcomes
