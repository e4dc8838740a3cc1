"""S1: from the start of a proxy's process to the first byte that it carries."""

import json
import time

from topology import wait_until

from .. import load, statistics
from ..large_mesh import LargeMesh
from .workload import Metric, Workload


WORKLOADS = 100_000
STARTS = 3


class Restart(Workload):
    """The proxy beside the client is stopped and started; a client tries every millisecond. Heddle's agent verifies its
    pods and loads its BPF programs, keys and state meanwhile; peers read a static file."""

    name = "S1"
    title = "Start of the proxy beside the client: exec to first byte carried"
    metrics = (Metric("first_byte_ms", "ms", "lower", "none"),)

    def suits(self, subject):
        return bool(subject.proxies())

    def planned(self, settings):
        return 1.5

    def measure(self, subject, settings):
        subject.stop_first()
        meter = load.Meter(subject.grounds.cgroups())
        client = subject.client.spawn([subject.ground.load, "sweep", "--retry", "--to", subject.address], "restart")
        started = time.monotonic_ns()
        subject.launch_first()
        wait_until(lambda: client.exit_code is not None, "a byte was carried", 70, 0.005)
        if client.exit_code != 0:
            raise load.Void(f"nothing was carried: {client.output()[-300:]}")
        meter.stop(settings.foreign_max)
        return {"first_byte_ms": (json.loads(client.output())["clients"][0]["ended_ns"][-1] - started) / 1e6}


class RestartLarge(Restart):
    """The state is on disk, where the agent keeps it; the controller has it as well, and the agent is sent nothing of
    it anew. Once, with the median of three starts: bringing the mesh about takes longer than the starts."""

    name = "S1L"
    title = "S1 of an agent that has 100 000 workloads on disk"
    rounds_max = 1

    def suits(self, subject):
        return subject.name == "heddle"

    def planned(self, settings):
        return 120.0

    def measure(self, subject, settings):
        mesh, folder = LargeMesh(WORKLOADS), subject.ground.topology.config.path
        try:
            mesh.write(folder)
            subject.ground.wait_known([mesh.watched])
            starts = [super(RestartLarge, self).measure(subject, settings)["first_byte_ms"] for _ in range(STARTS)]
        finally:
            mesh.remove(folder)
            subject.ground.wait_known([mesh.watched], gone=True)
        return {"first_byte_ms": statistics.median(starts)}
