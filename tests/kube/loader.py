"""Fills an API server with many objects, quickly: `loader.py fill KUBECONFIG PODS` on the machine that
reaches it. `loader.py follow KUBECONFIG PORT CHANGES` makes changes and waits until a controller has published each.
`loader.py agents KUBECONFIG COUNT FOLDER` makes the pods of agents, and a file with the token of each in the folder;
`loader.py converge KUBECONFIG POD CHANGES COMMAND...` makes changes of one pod and waits until each is effective in the
simulated agents that the command runs (bench/agents/announcement.h).

Raw requests over a few connections that stay open: kubectl needs a hundred times as long. Pods, ten of them behind
each service with its slice; the status of a pod is a request of its own, as it is a kubelet's. Prints what it took.
"""

import base64
import concurrent.futures
import http.client
import json
import pathlib
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse

import yaml

CONNECTIONS = 24
PODS_PER_SERVICE = 10
PODS_PER_NODE = 100
NAMESPACES = 20
AGENTS = "heddle-system"


class Server:
    """A connection for each thread."""

    def __init__(self, kubeconfig):
        with open(kubeconfig, encoding="utf-8") as file:
            config = yaml.safe_load(file)
        cluster = config["clusters"][0]["cluster"]
        self._token = config["users"][0]["user"]["token"]
        self._url = urllib.parse.urlsplit(cluster["server"])
        if "certificate-authority-data" in cluster:
            roots = base64.b64decode(cluster["certificate-authority-data"]).decode()
            self._tls = ssl.create_default_context(cadata=roots)
        else:
            self._tls = ssl.create_default_context(cafile=cluster["certificate-authority"])
        self._local = threading.local()

    def send(self, method, path, body, kind="application/json"):
        if not hasattr(self._local, "connection"):
            self._local.connection = http.client.HTTPSConnection(self._url.hostname, self._url.port,
                                                                 context=self._tls, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": kind}
        self._local.connection.request(method, path, json.dumps(body), headers)
        answer = self._local.connection.getresponse()
        text = answer.read()
        if answer.status not in (200, 201):
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]!r}")
        return json.loads(text)


def address(number):
    return f"10.{100 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"


def space_of(app):
    return f"size-{app % NAMESPACES}"


def pod(number):
    app = number // PODS_PER_SERVICE
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": f"app-{app}-7f5c9d8b6d-{number}", "namespace": space_of(app),
                         "labels": {"app": f"app-{app}"}},
            "spec": {"nodeName": f"node-{number // PODS_PER_NODE}", "serviceAccountName": f"app-{app}",
                     "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "none:1"}]}}


def pod_status(number, ready=True):
    return {"status": {"phase": "Running", "podIP": address(number), "podIPs": [{"ip": address(number)}],
                       "conditions": [{"type": "Ready", "status": "True" if ready else "False"}]}}


def service(app):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": f"app-{app}", "namespace": space_of(app)},
            "spec": {"clusterIP": "None", "selector": {"app": f"app-{app}"},
                     "ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def endpoints(app):
    numbers = range(app * PODS_PER_SERVICE, (app + 1) * PODS_PER_SERVICE)
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": f"app-{app}-x", "namespace": space_of(app),
                         "labels": {"kubernetes.io/service-name": f"app-{app}"}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address(number)], "conditions": {"ready": True},
                           "targetRef": {"kind": "Pod", "name": pod(number)["metadata"]["name"],
                                         "namespace": space_of(app)}} for number in numbers]}


def set_ready(server, number, ready):
    meta = pod(number)["metadata"]
    server.send("PATCH", f"/api/v1/namespaces/{meta['namespace']}/pods/{meta['name']}/status",
                pod_status(number, ready), "application/merge-patch+json")


def make_pod(server, number):
    made = pod(number)
    server.send("POST", f"/api/v1/namespaces/{made['metadata']['namespace']}/pods", made)
    set_ready(server, number, True)


def make_app(server, app):
    server.send("POST", f"/api/v1/namespaces/{space_of(app)}/services", service(app))
    server.send("POST", f"/apis/discovery.k8s.io/v1/namespaces/{space_of(app)}/endpointslices", endpoints(app))


def fill(server, pods):
    for number in range(NAMESPACES):
        server.send("POST", "/api/v1/namespaces", {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": f"size-{number}", "labels": {"istio.io/dataplane-mode": "ambient"}}})
    for number in range((pods + PODS_PER_NODE - 1) // PODS_PER_NODE):
        server.send("POST", "/api/v1/nodes",
                    {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"node-{number}"}})
    apps = pods // PODS_PER_SERVICE
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        for app in range(apps):
            server_account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": f"app-{app}"}}
            pool.submit(server.send, "POST", f"/api/v1/namespaces/{space_of(app)}/serviceaccounts", server_account)
        pool.shutdown(wait=True)
    with concurrent.futures.ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(lambda app: make_app(server, app), range(apps)))
        list(pool.map(lambda number: make_pod(server, number), range(pods), chunksize=1))


def translations(metrics):
    metrics.request("GET", "/metrics")
    for line in metrics.getresponse().read().decode().splitlines():
        if line.startswith("heddle_controller_translations_total "):
            return int(line.split()[1])
    raise RuntimeError("the controller counts no translations")


def follow(server, debug_port, changes):
    """From the answer of the API server to a change until the controller has published it, in seconds."""
    metrics = http.client.HTTPConnection("127.0.0.1", debug_port, timeout=10)
    took = []
    for number in range(changes):
        before = translations(metrics)
        set_ready(server, number, False)
        began = time.monotonic()
        while translations(metrics) == before:
            if time.monotonic() - began > 20:
                raise RuntimeError("a change was not published within 20 s")
        took.append(time.monotonic() - began)
    return took


def agents(server, count, folder):
    """Each on a node of its own, the first ones of fill()."""
    pods, accounts = (f"/api/v1/namespaces/{AGENTS}/{kind}" for kind in ("pods", "serviceaccounts"))
    server.send("POST", accounts, {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "heddle-agent"}})
    for number in range(count):
        server.send("POST", pods, {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"agent-{number}", "namespace": AGENTS},
            "spec": {"nodeName": f"node-{number}", "serviceAccountName": "heddle-agent",
                     "automountServiceAccountToken": False, "containers": [{"name": "c", "image": "none:1"}]}})
        bound = {"kind": "Pod", "apiVersion": "v1", "name": f"agent-{number}"}
        made = server.send("POST", f"{accounts}/heddle-agent/token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": ["heddle-controller"], "boundObjectRef": bound}})
        file = pathlib.Path(folder, f"node-{number}")
        file.touch(mode=0o600)
        file.write_text(made["status"]["token"], encoding="utf-8")


def converge(server, number, changes, command):
    """From a change's request to the API server until the first and until the last agent acts by it, in seconds."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        def says():
            line = json.loads(process.stdout.readline() or '{"error": "the agents have ended"}')
            if "error" in line:
                raise RuntimeError(line["error"])
            return line

        made = {"connected": says()["connected"], "first": [], "last": []}
        for change in range(changes):
            began = time.monotonic_ns()
            set_ready(server, number, change % 2 == 1)
            at = says()["at"]
            made["first"].append((min(at) - began) / 1e9)
            made["last"].append((max(at) - began) / 1e9)
    return made


def main():
    command, server, arguments = sys.argv[1], Server(sys.argv[2]), sys.argv[3:]
    began = time.monotonic()
    if command == "fill":
        fill(server, int(arguments[0]))
        print(json.dumps({"seconds": time.monotonic() - began}))
    elif command == "agents":
        agents(server, int(arguments[0]), arguments[1])
        print("{}")
    elif command == "converge":
        print(json.dumps(converge(server, int(arguments[0]), int(arguments[1]), arguments[2:])))
    else:
        print(json.dumps(follow(server, int(arguments[0]), int(arguments[1]))))


if __name__ == "__main__":
    main()
