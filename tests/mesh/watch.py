"""The witness that is always there: on the link of every enrolled pod, from its ADD to its end, in every suite."""

import dataclasses
import math
import time

from .witness import BEGINNINGS, Witness, sockets

# Between the first connection through a tunnel and the last worker that knows of the peer.
SETTLED_SECONDS = 0.5
HBONE = 15008


@dataclasses.dataclass
class _Debt:
    """Since a node has reached a pod by HBONE, every connection of the node's pods to it must be one, to its end."""
    node: int
    address: str
    since: float
    until: float = math.inf


@dataclasses.dataclass(frozen=True)
class Leak:
    pod: str
    seen: str
    address: str
    port: int


class Watch:
    """Which connections of its pods crossed their links in clear that the mesh should have had: by the wire, of all of
    them; by the sockets, of those that are open when a pod goes."""

    def __init__(self):
        self._watched = []
        self._debts = []
        self._leaks = []
        self._count = 0

    def add(self, pod):
        self._count += 1
        self._watched.append((pod, Witness(pod, f"watch-{self._count}", BEGINNINGS)))
        pod.leaving.append(lambda: self._leave(pod))

    def meshed(self, node, server):
        """From now on the node knows that the server is in the mesh."""
        for address in server.addresses:
            if not self._owed(node, str(address), time.time() + SETTLED_SECONDS):
                self._debts.append(_Debt(node.index, str(address), time.time() + SETTLED_SECONDS))

    def leaks(self):
        """Ends it."""
        for pod, _ in list(self._watched):
            self._leave(pod)
        return self._leaks

    def _leave(self, pod):
        for watched in [each for each in self._watched if each[0] is pod]:
            self._watched.remove(watched)
            self._judge(*watched)
        for debt in self._debts:
            if debt.address in map(str, pod.addresses):
                debt.until = min(debt.until, time.time())

    def _owed(self, node, address, when):
        return any(debt.node == node.index and debt.address == address and debt.since <= when <= debt.until
                   for debt in self._debts)

    def _judge(self, pod, witness):
        own = {str(address) for address in pod.addresses}
        for address, port in _opened(pod, own):
            if port != HBONE and self._owed(pod.node, address, time.time()):
                self._leaks.append(Leak(pod.name, "in its sockets", address, port))
        witness.stop()
        for when, source, target, port in witness.timed_syns():
            if source in own and port != HBONE and self._owed(pod.node, target, when):
                self._leaks.append(Leak(pod.name, "on its link", target, port))


def _opened(pod, own):
    """[(address, port)] of the other ends of connections that were opened in the pod's netns from its own address."""
    listening = {_split(line.split()[3])[1] for line in pod.run(["ss", "-Hltn"]).stdout.splitlines()}
    ends = [(_split(local), _split(peer)) for local, peer in sockets(pod)]
    return [peer for local, peer in ends if local[0] in own and local[1] not in listening and peer[0] not in own]


def _split(end):
    address, port = end.rsplit(":", 1)
    return address.strip("[]"), int(port)
