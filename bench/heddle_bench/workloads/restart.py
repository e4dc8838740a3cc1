"""S1: from the start of a proxy's process to the first byte that it carries."""

import json
import time

from topology import wait_until

from .. import load
from .workload import Metric, Workload


class Restart(Workload):
    """The proxy beside the client is stopped and started; a client tries every millisecond. Heddle's agent verifies its
    pods and loads its BPF programs, keys and state meanwhile; peers read a static file."""

    name = "S1"
    title = "Start of the proxy beside the client: exec to first byte carried"
    metrics = (Metric("first_byte_ms", "ms", "lower", "none"),)

    def suits(self, subject):
        return bool(subject.proxies())

    def measure(self, subject, settings):
        subject.stop_first()
        client = subject.client.spawn([subject.ground.load, "sweep", "--retry", "--to", subject.address], "restart")
        started = time.monotonic_ns()
        subject.launch_first()
        wait_until(lambda: client.exit_code is not None, "a byte was carried", 70, 0.005)
        if client.exit_code != 0:
            raise load.Void(f"nothing was carried: {client.output()[-300:]}")
        return {"first_byte_ms": (json.loads(client.output())["ended_ns"] - started) / 1e6}
