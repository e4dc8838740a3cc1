"""A directory of Kubernetes YAML, written as an operator or a kubelet would: each file whole, by rename."""

import os
import pathlib

import yaml


def pod_object(spec, node_name, addresses=()):
    """A Pod as the API server prints it; without addresses it has no status, like one that is just bound."""
    pod = {
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": spec.name, "namespace": spec.namespace, "uid": spec.uid, "labels": dict(spec.labels)},
        "spec": {"nodeName": node_name, "serviceAccountName": spec.service_account,
                 "containers": [{"name": "app", "image": "example.org/app:1"}]},
    }
    if addresses:
        pod["status"] = {"phase": "Running", "podIP": str(addresses[0]),
                         "podIPs": [{"ip": str(address)} for address in addresses],
                         "conditions": [{"type": "Ready", "status": "True"}]}
    return pod


class ConfigDirectory:
    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.path.mkdir(parents=True, exist_ok=True)

    def put(self, name, *objects):
        """Writes NAME.yaml with these objects (dicts, or YAML text); readers see the old or the new file."""
        text = "---\n".join(o if isinstance(o, str) else yaml.safe_dump(o, sort_keys=False) for o in objects)
        draft = self.path / f".{name}.yaml.tmp"
        draft.write_text(text)
        os.rename(draft, self.path / f"{name}.yaml")

    def remove(self, name):
        (self.path / f"{name}.yaml").unlink()

    def put_pod(self, spec, node_name, addresses=()):
        self.put(f"pod-{spec.namespace}-{spec.name}", pod_object(spec, node_name, addresses))
