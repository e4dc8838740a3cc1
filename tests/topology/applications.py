"""traffic.py inside pods, as objects."""

import pathlib

from .waiting import wait_until

TRAFFIC = ["/usr/bin/python3", str(pathlib.Path(__file__).with_name("traffic.py"))]
PORT = 8080


def serve(pod, port=PORT):
    """Starts the server and waits until it listens."""
    process = pod.spawn([*TRAFFIC, "serve", port], "server")
    process.wait_ready(lambda: f":{port} " in pod.run(["ss", "-Hltn"]).stdout, f"{pod.name} listens")
    return process


def url(address, path="/whoami", port=PORT):
    host = f"[{address}]" if ":" in str(address) else address
    return f"http://{host}:{port}{path}"


def get(place, address, path="/whoami", port=PORT):
    """The body of an answer, or CommandFailed with curl's exit code."""
    return place.run(["curl", "-sS", "-m", "10", url(address, path, port)]).stdout.strip()


class Prober:
    """Asks again and again; tells what happened after a moment (nanoseconds of the monotonic clock)."""

    def __init__(self, place, host, port):
        self.process = place.spawn([*TRAFFIC, "probe", host, port], "prober")

    def tries(self, since=0):
        """[(nanoseconds, outcome)] of the tries that began after `since`."""
        lines = [line.split(None, 1) for line in self.process.output().splitlines(keepends=True) if line.endswith("\n")]
        return [(int(at), outcome.strip()) for at, outcome in lines if int(at) >= since]

    def wait_for(self, wanted, since, what, seconds=15):
        """The first try after `since` whose outcome satisfies `wanted`."""
        return wait_until(lambda: next(((at, outcome) for at, outcome in self.tries(since) if wanted(outcome)), None),
                          what, seconds)

    def stop(self):
        self.process.stop()


class Holder:
    """One connection that stays open, and its end."""

    def __init__(self, place, host, port):
        self.process = place.spawn([*TRAFFIC, "hold", host, port], "holder")
        self.process.wait_ready(lambda: "open" in self.process.output(), f"connection to {host}:{port} opens")

    def wait_end(self, seconds=15):
        """(nanoseconds, reason) of its end."""
        wait_until(lambda: self.process.exit_code is not None, "the open connection ends", seconds)
        at, reason = self.process.output().splitlines()[-1].split(None, 1)
        return int(at), reason

    def stop(self):
        self.process.stop()
