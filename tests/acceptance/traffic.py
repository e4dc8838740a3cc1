"""Traffic that goes on inside pods while something happens to the mesh."""

import re
import time

from topology.waiting import wait_until

from .namespace import ECHO, request
from .witness import opened_outside

PAUSE_SECONDS = 0.2
PATIENCE_SECONDS = 20  # A machine that tests share may stand still for some seconds.


class Requests:
    """A loop in a pod that asks a server again and again, each time on a connection of its own."""

    def __init__(self, namespace, pod, address, name):
        self._namespace, self._pod, self._file = namespace, pod, f"/tmp/requests-{name}"
        once = (f"t=$(date +%s); if {request(address, patience=PATIENCE_SECONDS)} | grep -q 200; then echo ok; "
                "else echo no $t $(date +%s); fi")
        loop = (f"while [ ! -e {self._file}.stop ]; do {once} >>{self._file}; sleep {PAUSE_SECONDS}; done; "
                f"echo end >>{self._file}")
        namespace.shell(pod, f"touch {self._file}; ({loop}) >/dev/null 2>&1 &")
        wait_until(lambda: self.counts()[0], f"{pod} is answered", 15, 0.3)

    def counts(self):
        """(answered, not answered)"""
        said = self._namespace.shell(self._pod, f"cat {self._file}").split()
        return said.count("ok"), said.count("no")

    def failures(self):
        """[(began, ended)] of those that were not answered: seconds since the epoch, rounded down."""
        said = self._namespace.shell(self._pod, f"cat {self._file}")
        return [(int(began), int(ended)) for began, ended in re.findall(r"^no (\d+) (\d+)$", said, re.M)]

    def go_on(self, seconds=60):
        """Waits for five more answers."""
        before = self.counts()[0]
        wait_until(lambda: self.counts()[0] >= before + 5, "requests are answered", seconds, 0.3)

    def stop(self):
        self._namespace.shell(self._pod, f"touch {self._file}.stop")
        last = f"tail -n 1 {self._file}"
        wait_until(lambda: "end" in self._namespace.shell(self._pod, last), "the loop ends", PATIENCE_SECONDS + 15, 0.2)
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


class Traffic:
    """Requests and an open connection between the nodes."""

    def __init__(self, shop, name):
        self.client, self.server = shop.pods("client")[0], shop.pods("web")[1]
        client, address = self.client["metadata"]["name"], self.server["status"]["podIP"]
        self.connection = Connection(shop, client, address, name)
        self.requests = Requests(shop, client, address, name)

    def stop(self):
        self.connection.stop()
        return self.requests.stop()

    def assert_unharmed(self):
        """Every request was answered, and the connection is the one that was opened first."""
        self.requests.go_on()
        assert self.connection.is_alive()
        assert self.requests.counts()[1] == 0


def assert_inside(cluster, release, shop):
    """Every pod of the shop is captured, and no socket of it leads to another one but by the mesh."""
    pods = shop.pods()
    meshed = {each["status"]["podIP"] for each in pods}
    for node in cluster.nodes:
        on_node = [each for each in pods if each["spec"]["nodeName"] == node.name]
        assert {f"shop/{each['metadata']['name']}" for each in on_node} <= release.captured(node)
        for each in on_node:
            assert opened_outside(node, each, meshed) == []
