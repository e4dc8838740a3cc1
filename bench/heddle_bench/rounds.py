"""Takes turns: every subject in every round, each round in the other direction (ABBA), so that what drifts hits all."""

import dataclasses

from .load import Noisy, Void

TRIES_MAX = 3  # Of one run, when somebody else had the machine.


@dataclasses.dataclass
class Outcome:
    """Of one workload and subject: values by metric and round, and why rounds are void."""
    values: dict = dataclasses.field(default_factory=dict)
    voids: list = dataclasses.field(default_factory=list)

    def add(self, number, measured):
        for metric, value in measured.items():
            self.values.setdefault(metric, {})[number] = value


def order(subjects, number):
    return list(subjects) if number % 2 == 0 else list(reversed(subjects))


def measure(workload, subject, settings):
    """One run, repeated while the machine is noisy."""
    for attempt in range(1, TRIES_MAX + 1):
        try:
            return workload.measure(subject, settings)
        except Noisy:
            if attempt == TRIES_MAX:
                raise


def run(workload, subjects, settings, rounds, say):
    """{subject name: Outcome}. A void run leaves its round empty; it never counts as zero."""
    suited = [subject for subject in subjects
              if workload.suits(subject) and (subject.only is None or workload.name in subject.only)]
    outcomes = {subject.name: Outcome() for subject in suited}
    for number in range(rounds if workload.in_rounds else 1):
        for subject in order(suited, number):
            try:
                measured = measure(workload, subject, settings)
            except Void as why:
                outcomes[subject.name].voids.append(str(why))
                say(workload, subject, number, f"void: {why}")
                continue
            outcomes[subject.name].add(number, measured)
            say(workload, subject, number, ", ".join(f"{name} {value:.4g}" for name, value in measured.items()))
    return outcomes
