"""Traffic that goes on inside pods while something happens to the mesh."""

import re
import time

from topology.waiting import wait_until

from .namespace import ECHO, request

PAUSE_SECONDS = 0.2


class Requests:
    """A loop in a pod that asks a server again and again, each time on a connection of its own."""

    def __init__(self, namespace, pod, address, name):
        self._namespace, self._pod, self._file = namespace, pod, f"/tmp/requests-{name}"
        loop = (f"while [ ! -e {self._file}.stop ]; do if {request(address)} | grep -q 200; then echo ok; "
                f"else echo no; fi >>{self._file}; sleep {PAUSE_SECONDS}; done; echo end >>{self._file}")
        namespace.shell(pod, f"touch {self._file}; ({loop}) >/dev/null 2>&1 &")
        wait_until(lambda: self.counts()[0], f"{pod} is answered", 15, 0.3)

    def counts(self):
        """(answered, not answered)"""
        said = self._namespace.shell(self._pod, f"cat {self._file}").split()
        return said.count("ok"), said.count("no")

    def go_on(self, seconds=30):
        """Waits for five more answers."""
        before = self.counts()[0]
        wait_until(lambda: self.counts()[0] >= before + 5, "requests are answered", seconds, 0.3)

    def stop(self):
        self._namespace.shell(self._pod, f"touch {self._file}.stop")
        last = f"tail -n 1 {self._file}"
        wait_until(lambda: "end" in self._namespace.shell(self._pod, last), "the loop ends", 15, 0.2)
        return self.counts()


class Connection:
    """One connection of a pod, over which a line goes and comes back every half second."""

    def __init__(self, namespace, pod, address, name):
        self._namespace, self._pod, self._file = namespace, pod, f"/tmp/connection-{name}"
        lines = f"n=0; while [ ! -e {self._file}.stop ]; do n=$((n+1)); echo line $n; sleep 0.5; done"
        namespace.shell(pod, f"touch {self._file}; (({lines}) | nc {address} {ECHO} >>{self._file}; "
                             f"echo end >>{self._file}) >/dev/null 2>&1 &")
        wait_until(self.count, f"{pod} holds a connection", 15, 0.3)

    def count(self):
        """Lines that have come back."""
        found = re.findall(r"^line (\d+)$", self._namespace.shell(self._pod, f"cat {self._file}"), re.M)
        return int(found[-1]) if found else 0

    def has_ended(self):
        return "end" in self._namespace.shell(self._pod, f"cat {self._file}").split()

    def is_alive(self, seconds=10):
        """Whether lines come back still."""
        before, end = self.count(), time.monotonic() + seconds
        while time.monotonic() < end and not self.has_ended():
            if self.count() > before + 1:
                return True
            time.sleep(0.2)
        return False

    def stop(self):
        self._namespace.shell(self._pod, f"touch {self._file}.stop")
