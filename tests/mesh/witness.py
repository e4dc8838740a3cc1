"""What really crossed a pod's link, and what its sockets say: no part of the mesh is asked."""

import os
import re

from topology.capture import Capture

# The first packet of a TCP connection, by IPv4 and by IPv6.
FIRST_4 = "tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"
FIRST_6 = "ip6[6] == 6 and ip6[53] & 18 == 2"
# Filter: of each connection its beginning, and the datagrams that say that the record is complete.
BEGINNINGS = f"( {FIRST_4} ) or ( {FIRST_6} ) or udp port 9"

_SYN = re.compile(r"(?P<time>[\d.]+) IP6? (?P<source>\S+)\.(?P<sport>\d+) > (?P<target>\S+)\.(?P<dport>\d+): ")


class Witness:
    """Records the pod's link, from its own netns, from construction until `syns` is asked."""

    def __init__(self, pod, name="witness", filter=""):
        self._pod = pod
        self._stopped = False
        file = pod.node.topology.dir / f"{pod.spec.namespace}-{pod.name}-{name}.pcap"
        self._capture = Capture(pod, "eth0", file, filter)

    def stop(self):
        """Ends it (once), when a last datagram to the gateway is on record: so is everything before it."""
        if self._stopped:
            return
        self._stopped = True
        fence = os.urandom(16)
        datagram(self._pod, fence)
        self._capture.stop(lambda recorded: fence in recorded)

    def timed_syns(self):
        """[(time, source, target, port)] of every TCP connection that was begun, in either direction, after stop()."""
        lines = self._capture.packets(FIRST_4, timed=True) + self._capture.packets(FIRST_6, timed=True)
        matches = [_SYN.search(line) for line in lines]
        return [(float(each["time"]), each["source"], each["target"], int(each["dport"])) for each in matches if each]

    def syns(self):
        return [syn[1:] for syn in self.timed_syns()]

    def leaks(self):
        """Connections that the pod began and the mesh should have had, in clear on its link."""
        own = {str(address) for address in self._pod.addresses}
        return [syn for syn in self.syns() if syn[0] in own and syn[2] != 15008]

    def holds(self, marker):
        return marker.encode() in self._capture.bytes()


def datagram(pod, payload):
    """Sends it to the pod's gateway; also a way to have the gateway's link address known."""
    version = pod.addresses[0].version
    gateway = f"10.77.{pod.node.index}.1" if version == 4 else f"fd77:0:0:{pod.node.index}::1"
    pod.run(["/usr/bin/python3", "-c", "import socket, sys\n"
             "family = socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n"
             "socket.socket(family, socket.SOCK_DGRAM).sendto(bytes.fromhex(sys.argv[2]), (sys.argv[1], 9))",
             gateway, payload.hex()])


def sockets(pod, *filters):
    """[(local, peer)] of the pod's established TCP connections."""
    lines = pod.run(["ss", "-Htn", "state", "established", *filters]).stdout.splitlines()
    return [tuple(re.sub(r"^\[::ffff:([\d.]+)\]", r"\1", end) for end in line.split()[2:4]) for line in lines]
