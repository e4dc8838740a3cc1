"""A mesh of any size as files for a controller's directory: ten enrolled pods to a service, fifty to a node."""

import dataclasses
import os
import pathlib

PODS_PER_SERVICE = 10
PODS_PER_NODE = 50
NAMESPACES = 20
PODS_PER_FILE = 5000  # A controller reads files of up to 16 MiB.
CHANGING = "changing"  # The pod that changes, in a file of its own.

_NAMESPACE = """\
{{"apiVersion": "v1", "kind": "Namespace", "metadata": {{"name": "large-{0}", "labels":
 {{"istio.io/dataplane-mode": "ambient"}}}}}}
"""
_NODE = """{{"apiVersion": "v1", "kind": "Node", "metadata": {{"name": "{0}"}}}}\n"""
_POD = """\
{{"apiVersion": "v1", "kind": "Pod", "metadata": {{"name": "{name}", "namespace": "{namespace}", "uid": "{uid}",
 "labels": {{"app": "{app}"}}}}, "spec": {{"nodeName": "{node}", "serviceAccountName": "{app}"}}, "status":
 {{"phase": "Running", "podIP": "{address}", "podIPs": [{{"ip": "{address}"}}],
 "conditions": [{{"type": "Ready", "status": "{ready}"}}]}}}}
"""
_SERVICE = """\
{{"apiVersion": "v1", "kind": "Service", "metadata": {{"name": "{app}", "namespace": "{namespace}"}}, "spec":
 {{"clusterIP": "{address}", "clusterIPs": ["{address}"], "selector": {{"app": "{app}"}},
 "ports": [{{"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}}]}}}}
"""
_SLICE = """\
{{"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": {{"name": "{app}-1", "namespace":
 "{namespace}", "labels": {{"kubernetes.io/service-name": "{app}"}}}}, "addressType": "IPv4",
 "ports": [{{"name": "http", "port": 8080, "protocol": "TCP"}}], "endpoints": [{endpoints}]}}
"""
_ENDPOINT = """\
{{"addresses": ["{address}"], "conditions": {{"ready": true}}, "nodeName": "{node}",
 "targetRef": {{"kind": "Pod", "name": "{name}", "namespace": "{namespace}"}}}}"""


@dataclasses.dataclass(frozen=True)
class LargeMesh:
    """`pods` pods with addresses in 11.0.0.0/8, and nodes from PREFIX0 on, at least `nodes` of them."""
    pods: int
    nodes: int = 0
    prefix: str = "large-node-"

    def write(self, folder):
        """The files, each whole by rename; the pod that changes is ready."""
        folder = pathlib.Path(folder)
        nodes = max(self.nodes, -(-self.pods // PODS_PER_NODE))
        cluster = [_NAMESPACE.format(number) for number in range(NAMESPACES)]
        cluster += [_NODE.format(f"{self.prefix}{number}") for number in range(nodes)]
        _replace(folder / "large-cluster.yaml", "---\n".join(cluster))
        for first in range(0, self.pods, PODS_PER_FILE):
            documents = []
            for service in range(first, min(first + PODS_PER_FILE, self.pods), PODS_PER_SERVICE):
                documents += self._service(service)
            _replace(folder / f"large-{first}.yaml", "---\n".join(documents))
        _replace(folder / f"{CHANGING}.yaml", self.changing(True))

    def remove(self, folder):
        for path in self._paths(pathlib.Path(folder)):
            path.unlink(missing_ok=True)

    def change(self, folder, ready):
        _replace(pathlib.Path(folder) / f"{CHANGING}.yaml", self.changing(ready))

    def _paths(self, folder):
        yield folder / f"{CHANGING}.yaml"
        yield from (folder / f"large-{first}.yaml" for first in range(0, self.pods, PODS_PER_FILE))
        yield folder / "large-cluster.yaml"

    @property
    def watched(self):
        """The resource name of the pod that changes."""
        return f"Kubernetes//Pod/large-0/{CHANGING}"

    def changing(self, ready):
        """The file of the pod that changes: CHANGING.yaml."""
        return _POD.format(**self._pod(self.pods, "changing", "large-0", CHANGING), ready=ready)

    def _pod(self, number, app, namespace, name=None):
        address = f"11.{number >> 16}.{number >> 8 & 255}.{number & 255}"
        return {"name": name or f"{app}-{number}", "namespace": namespace, "app": app, "address": address,
                "uid": f"11111111-2222-3333-4444-{number:012d}",
                "node": f"{self.prefix}{number // PODS_PER_NODE if name is None else 0}"}

    def _service(self, first):
        number = first // PODS_PER_SERVICE
        app, namespace = f"app-{number}", f"large-{number % NAMESPACES}"
        pods = [self._pod(pod, app, namespace) for pod in range(first, min(first + PODS_PER_SERVICE, self.pods))]
        address = f"10.{128 + (number >> 16)}.{number >> 8 & 255}.{number & 255}"
        yield from (_POD.format(**pod, ready=True) for pod in pods)
        yield _SERVICE.format(app=app, namespace=namespace, address=address)
        yield _SLICE.format(app=app, namespace=namespace,
                            endpoints=",".join(_ENDPOINT.format(**pod) for pod in pods))


def _replace(path, text):
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    os.rename(draft, path)
