"""What every workload has."""

import dataclasses
import pathlib
import time


SWEEP_ROUNDS, SWEEP_SECONDS, SWEEP_WARM_UP = 5, 4.0, 1.0


@dataclasses.dataclass(frozen=True)
class Metric:
    """`better` is "higher", "lower" or "neither"; `against` says how a subject is compared with direct: by ratio, by
    difference, or not at all."""
    name: str
    unit: str
    better: str = "higher"
    against: str = "ratio"


@dataclasses.dataclass
class Settings:
    seconds: float = 10.0
    warm_up: float = 1.0
    foreign_max: float = 0.05
    samples: pathlib.Path | None = None  # Folder for all latencies.


class Workload:
    """One instance per run of the suite, so that it may keep what it learnt of a subject in an earlier round."""

    name = None
    title = None
    metrics = ()
    sweep = False         # Whether it varies another workload: shorter, and of the peers only the best takes part,
    beside_null2 = False  # and null2 where a figure is held against it.
    rounds_max = None     # Of what is counted more than timed, or has many samples in a round.

    def suits(self, subject):
        return True

    def measure(self, subject, settings):
        """{metric name: value}; raises load.Void. Of what no metric tells, results.json has it alone."""
        raise NotImplementedError

    def planned(self, settings):
        """Seconds that one run takes."""
        return settings.seconds + settings.warm_up + 0.1


def shortened(rounds, settings):
    """(rounds, settings) of a sweep, so that a whole run takes less than 100 minutes."""
    return (min(rounds, SWEEP_ROUNDS),
            dataclasses.replace(settings, seconds=min(settings.seconds, SWEEP_SECONDS),
                                warm_up=min(settings.warm_up, SWEEP_WARM_UP)))


def samples_flag(workload, subject, settings):
    """What makes the load client write its latencies to a file of their own."""
    if settings.samples is None:
        return []
    return ["--samples", settings.samples / f"{workload.name}.{subject.name}.{time.monotonic_ns()}"]


def proxies_cpu(run):
    """CPU seconds of both proxies together; None where there are none."""
    values = [value for name, value in run.cpu.items() if name.startswith("proxy_")]
    return sum(values) if values else None


def serve(place, port, argv, name):
    """Starts what serves a port there, unless it has been started before."""
    def listens():
        return f":{port} " in place.run(["ss", "-Hltn"]).stdout
    if not listens():
        place.spawn(argv, name).wait_ready(listens, f"{name} listens")


def cpu_by_component(cpu):
    """What results.json has besides the metrics: CPU seconds of each component during the run."""
    return {f"cpu_s.{name}": value for name, value in cpu.items()}


def known(**values):
    """Without those that a subject does not have."""
    return {name: value for name, value in values.items() if value is not None}
