"""A namespace of the mesh and what runs in it."""

import datetime
import json
import time

import yaml
from kube.cluster.images import BUSYBOX
from topology.waiting import wait_until

SECONDS = 120
HTTP = 8080  # Says who asked and who answered: ask().
ECHO = 9000  # Sends back what it gets.
LABEL = "istio.io/dataplane-mode"


def container(command, **more):
    return {"name": "app", "image": BUSYBOX, "command": command, **more}


HTTPD = container(["httpd", "-f", "-p", str(HTTP), "-h", "/www"],
                  readinessProbe={"httpGet": {"port": HTTP, "path": "/"}, "periodSeconds": 1})
ECHOD = {"name": "echo", "image": BUSYBOX, "command": ["nc", "-ll", "-p", str(ECHO), "-e", "cat"]}


def pod_spec(containers, node=None, **more):
    place = {"nodeName": node} if node else {}
    return {"terminationGracePeriodSeconds": 1, "containers": containers, **place, **more}


def workload(kind, name, spec, replicas=None):
    """A Deployment or DaemonSet of pods with the label app; a Deployment's are on different nodes."""
    if kind == "Deployment":
        spec = {**spec, "topologySpreadConstraints": [
            {"maxSkew": 1, "topologyKey": "kubernetes.io/hostname", "whenUnsatisfiable": "DoNotSchedule",
             "labelSelector": {"matchLabels": {"app": name}}}]}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name},
            "spec": {**({"replicas": replicas} if replicas else {}), "selector": {"matchLabels": {"app": name}},
                     "template": {"metadata": {"labels": {"app": name}}, "spec": spec}}}


def service(name, app, headless=False):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
            "spec": {**({"clusterIP": "None"} if headless else {}), "selector": {"app": app},
                     "ports": [{"name": "http", "port": 80, "targetPort": HTTP},
                               {"name": "echo", "port": ECHO, "targetPort": ECHO}]}}


def pod(name, spec, labels=None):
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels or {"app": name}},
            "spec": spec}


class Namespace:
    """Made in the cluster on construction. With a Watch, its pods of the mesh are watched from the moment on when they
    are Ready; those that ran already when they were labelled, since taken_in()."""

    def __init__(self, release, name, enrolled=True, watch=None):
        self.release, self.cluster, self.name = release, release.cluster, name
        self._watch = watch
        self._enrolled = enrolled
        self._taken_in = 0.0
        self.cluster.kubectl("create", "namespace", name)
        if enrolled:
            self.label(True)
        wait_until(lambda: self.cluster.find("serviceaccount", "default", name), "pods have an account", 30)

    def label(self, enrolled):
        self._enrolled = enrolled
        self.outside_yet()
        self.cluster.kubectl("label", "namespace", self.name, f"{LABEL}=ambient" if enrolled else f"{LABEL}-",
                             "--overwrite")

    def outside_yet(self):
        """Its pods that run already are outside, whatever labels say, until taken_in()."""
        running = self.pods()
        for each in running:
            self.forget(each)
        self._taken_in = None if running else 0.0

    def taken_in(self):
        """Its pods are reached by the mesh by now."""
        self._taken_in = time.time()
        self.watch_all()

    def remove(self, wait=True):
        for each in self.pods():
            self.forget(each)
        self.cluster.kubectl("delete", "namespace", self.name, "--timeout=90s", *([] if wait else ["--wait=false"]),
                             timeout=99)

    def apply(self, *objects):
        self.cluster.kubectl("apply", f"--namespace={self.name}", "--filename=-", input=yaml.safe_dump_all(objects))

    def delete(self, kind, name, **options):
        if kind == "pod" and (found := self.cluster.find(kind, name, self.name)):
            self.forget(found)
        self.kubectl("delete", kind, name, *(f"--{option}={value}" for option, value in options.items()))

    def kubectl(self, *arguments, **options):
        return self.cluster.kubectl(arguments[0], f"--namespace={self.name}", *arguments[1:], **options)

    def rolled_out(self, workload):
        self.kubectl("rollout", "status", workload, f"--timeout={SECONDS}s", timeout=SECONDS + 9)
        self.watch_all()

    def ready(self, *names):
        self.kubectl("wait", "--for=condition=Ready", *(f"pod/{name}" for name in names), f"--timeout={SECONDS}s",
                     timeout=SECONDS + 9)
        self.watch_all()

    def watch_all(self):
        for each in self.pods():
            self.watch(each)

    def watch(self, pod):
        mode = pod["metadata"].get("labels", {}).get(LABEL, "ambient" if self._enrolled else "none")
        apart = mode == "none" or pod["spec"].get("hostNetwork") or self._taken_in is None
        if self._watch and is_ready(pod) and not apart:
            self._watch.add(pod["status"]["podIP"], max(ready_since(pod), self._taken_in))

    def forget(self, pod):
        if self._watch and pod["status"].get("podIP"):
            self._watch.remove(pod["status"]["podIP"])

    def pods(self, app=None):
        """Those that are not about to go, ordered by node."""
        listed = json.loads(self.kubectl("get", "pods", *([f"--selector=app={app}"] if app else []), "--output=json"))
        lasting = [pod for pod in listed["items"] if "deletionTimestamp" not in pod["metadata"]]
        return sorted(lasting, key=lambda pod: (pod["spec"].get("nodeName", ""), pod["metadata"]["name"]))

    def pod(self, name):
        return self.cluster.find("pod", name, self.name)

    def address(self, name):
        """Of a pod."""
        return self.pod(name)["status"]["podIP"]

    def service_address(self, name):
        return self.cluster.find("service", name, self.name)["spec"]["clusterIP"]

    def endpoints(self, service):
        """The addresses that stand behind the service: what its name is, when it is headless."""
        listed = json.loads(self.kubectl("get", "endpointslices", f"--selector=kubernetes.io/service-name={service}",
                                         "--output=json"))["items"]
        return {address for slice in listed for endpoint in slice["endpoints"] or ()
                for address in endpoint["addresses"]}

    def shell(self, name, script, check=True, container="app", timeout=60):
        return self.kubectl("exec", name, f"--container={container}", "--", "sh", "-c", script, check=check,
                            timeout=timeout)

    def ask(self, name, address, port=HTTP):
        """(the client's address as the server saw it, the server's name), or None when there is no answer."""
        said = self.shell(name, request(address, port), check=False).split()
        return tuple(said[-2:]) if "200" in said else None

    def events(self, name):
        """[(reason, message)] about an object."""
        listed = json.loads(self.kubectl("get", "events", f"--field-selector=involvedObject.name={name}",
                                         "--output=json"))["items"]
        return [(event["reason"], event["message"]) for event in listed]

    def restarts(self):
        """{pod: restarts of its containers}"""
        return {pod["metadata"]["name"]: sum(status["restartCount"] for status in pod["status"]["containerStatuses"])
                for pod in self.pods()}


def request(address, port=HTTP, path="/cgi-bin/whoami", patience=5):
    """A command that prints the answer. What is refused or reset ends at once, whatever the patience (seconds)."""
    return f"printf 'GET {path} HTTP/1.0\\r\\n\\r\\n' | nc -w {patience} {address} {port}"


def is_ready(pod):
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))


def ready_since(pod):
    """In seconds since 1970. The API server has whole seconds: up to one late."""
    said, = (c["lastTransitionTime"] for c in pod["status"]["conditions"] if c["type"] == "Ready")
    return datetime.datetime.fromisoformat(said.replace("Z", "+00:00")).timestamp() + 1
