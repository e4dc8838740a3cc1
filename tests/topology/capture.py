"""An independent witness: tcpdump on a link."""

from .process import run
from .waiting import wait_until


class Capture:
    """Records what crosses the interface, seen from `place`, until stop(): everything, or what matches `filter`."""

    def __init__(self, place, interface, file, filter=""):
        self.file = file
        self._process = place.spawn(["tcpdump", "-i", interface, "-s", "0", "-U", "--immediate-mode", "-n",
                                     "-Z", "root", "-w", file, *filter.split()], f"tcpdump-{file.stem}")
        self._process.wait_ready(lambda: "listening on" in self._process.output(), f"tcpdump on {interface}")

    def stop(self, settled=None):
        """Ends the recording, once `settled` (if given) holds for the file's bytes."""
        if settled is not None:
            wait_until(lambda: settled(self.bytes()), f"{self.file.name} holds what was sent", 5)
        self._process.stop()

    def bytes(self):
        return self.file.read_bytes() if self.file.exists() else b""

    def packets(self, expression="", timed=False, brief=True):
        """Lines of tcpdump for the packets that match; timed: each begins with its time, in seconds since 1970; brief:
        without flags and the like."""
        options = ["-tt" if timed else "-t", *(["-q"] if brief else [])]
        lines = run(["tcpdump", "-nn", *options, "-r", self.file, *expression.split()], timeout=120).stdout
        return lines.splitlines()
