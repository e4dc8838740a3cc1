"""M1: what idle connections cost the proxies' own memory."""

import json
import pathlib
import resource
import time

from topology import wait_until

from .. import load
from .workload import Metric, Workload

FEW, MANY = 1000, 8000
MOST = 24_000       # Of those that need no handshake for each: below the ports of a client.
BURST = 1 << 20
SETTLE = 5.0        # After opening, before looking: idle is what has had nothing to do for this long.
AFTER_CLOSE = 5.0   # As the issue says.


def resident_kb(pids):
    """Resident memory of these processes together; pages of files that they share count for each."""
    total = 0
    for pid in pids:
        for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Rss:"):
                total += int(line.split()[1])
    return total


def _metrics(*names_and_units):
    return tuple(Metric(f"{name}_{side}", f"{unit} ({side})", "lower", "none") for side in "ab"
                 for name, unit in names_and_units)


class Memory(Workload):
    """The proxies are started anew first. The figures are of the proxy beside the client, and of the other one."""

    name = "M1"
    title = (f"Resident memory above that of the empty proxy: {FEW}, {MANY} and, if descriptors suffice, {MOST} idle "
             "connections")
    rounds_max = 1
    metrics = (*_metrics(("empty_mib", "MiB empty"), ("bytes_few", f"bytes/connection at {FEW}"),
                         ("bytes_many", f"bytes/connection at {MANY}"), ("after_close", "× empty, 5 s after close"),
                         ("bytes_most", f"bytes/connection at {MOST}")),
               Metric("per_tunnel", f"connections/tunnel at {MANY}", "neither", "none"))

    def suits(self, subject):
        return bool(subject.proxies())

    def planned(self, settings):
        return 28.0

    def _restart(self, subject):
        """What the proxies have before any connection, in KiB."""
        subject.stop()
        subject.start()
        return {side: resident_kb(subject.pids(side)) for side in "ab"}

    def _hold(self, subject, count, response):
        process = subject.client.spawn([subject.ground.load, "hold", "--to", subject.address, "--connections", count,
                                        "--response", response], "hold")
        wait_until(lambda: process.exit_code is not None or "held" in process.output(), "connections are open", 150)
        event = json.loads(process.output().splitlines()[-1])
        if event["errors"] or event["connections"] != count:
            process.stop()
            raise load.Void(f"{event['connections']} of {count} opened: {', '.join(sorted(set(event['errors'])))}")
        time.sleep(SETTLE)
        return process

    def _with(self, subject, count, response=1):
        """Memory while so many connections are open, and after they have been closed; how many shared a tunnel."""
        process = self._hold(subject, count, response)
        try:
            held = {side: resident_kb(subject.pids(side)) for side in "ab"}
            tunnels = subject.tunnels()
        finally:
            process.stop(30)
        if not tunnels:
            raise load.Void("the connections are carried by no tunnel")
        time.sleep(AFTER_CLOSE)
        return held, {side: resident_kb(subject.pids(side)) for side in "ab"}, count / tunnels

    def measure(self, subject, settings):
        empty = self._restart(subject)
        few, _, _ = self._with(subject, FEW)
        many, closed, per_tunnel = self._with(subject, MANY)
        values = {"per_tunnel": per_tunnel}
        for side in "ab":
            values[f"empty_mib_{side}"] = empty[side] / 1024
            values[f"bytes_few_{side}"] = (few[side] - empty[side]) * 1024 / FEW
            values[f"bytes_many_{side}"] = (many[side] - empty[side]) * 1024 / MANY
            values[f"after_close_{side}"] = closed[side] / empty[side]
        if not subject.per_connection and self._descriptors_suffice():
            most, _, _ = self._with(subject, MOST)
            values.update({f"bytes_most_{side}": (most[side] - empty[side]) * 1024 / MOST for side in "ab"})
        return values

    def _descriptors_suffice(self):
        """Two for each connection, in each proxy."""
        return resource.getrlimit(resource.RLIMIT_NOFILE)[1] > 2 * MOST + 2048


class MemoryAfterBurst(Memory):
    """A workload of its own, so that who fails here has the rest."""

    name = "M1b"
    title = f"The same for {FEW} connections that are idle after 1 MiB each"
    metrics = _metrics(("bytes_after_burst", "bytes/connection"), ("after_close", "× empty, 5 s after close"))

    def planned(self, settings):
        return 14.0

    def measure(self, subject, settings):
        empty = self._restart(subject)
        burst, closed, _ = self._with(subject, FEW, BURST)
        values = {}
        for side in "ab":
            values[f"bytes_after_burst_{side}"] = (burst[side] - empty[side]) * 1024 / FEW
            values[f"after_close_{side}"] = closed[side] / empty[side]
        return values
