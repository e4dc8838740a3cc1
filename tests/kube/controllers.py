"""Controllers of one real API server, each with a name of its own, for tests of what they write there."""

import json
import os
import pathlib

from topology.waiting import Timeout, wait_until

BINARIES = pathlib.Path(os.environ.get("HEDDLE_BIN", "build/release/bin"))
NAMESPACE = "heddle-system"
SECONDS = 30


class Controller:
    """One controller on loopback of the control machine; known to the API server as an administrator."""

    def __init__(self, cluster, name, port, folder="", options=()):
        self._place, self._port, self.name = cluster.control, port, name
        self.state = cluster.dir / (folder or name)
        self.state.mkdir(mode=0o700, exist_ok=True)
        self.process = self._place.spawn(
            [BINARIES / "heddle-controller", "run", "--state-dir", self.state, "--listen", f"127.0.0.1:{port}",
             "--debug-listen", f"127.0.0.1:{port + 1}", "--source", "kubernetes", "--instance", name,
             "--kubeconfig", cluster.control_plane.kubeconfig("admin"), *options], folder or name)

    def _curl(self, path, check=True):
        url = f"http://127.0.0.1:{self._port + 1}{path}"
        return self._place.run(["curl", "-sS", "-m", "5", url], check=check).stdout

    def get(self, path):
        return json.loads(self._curl(path))

    def metric(self, series):
        """The value of a series as it is written, such as name{label="x"}; None when there is none."""
        for line in self._curl("/metrics").splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return None

    def wait_ready(self):
        self.process.wait_ready(lambda: self._curl("/healthz/ready", check=False) == "ready\n",
                                f"{self.name} is ready", SECONDS)
        return self

    def leads(self):
        return self.get("/debug/leader")["leads"]

    def wait_for(self, condition, what, seconds=SECONDS):
        try:
            return wait_until(condition, what, seconds, 0.1)
        except Timeout as timeout:
            raise AssertionError(f"{timeout}; {self.name} says:\n{self.process.output()[-3000:]}") from None


def get(cluster, kind, name, namespace):
    return json.loads(cluster.kubectl("get", kind, name, f"--namespace={namespace}", "--output=json"))


def lease(cluster):
    return get(cluster, "lease", "heddle-controller", NAMESPACE)["spec"]
