#!/usr/bin/env python3
"""Renders the chart to deploy/manifest/heddle.json, which `heddlectl install` applies: scripts/manifest.py HELM

The chart is the one source. What installs differ in is rendered as a placeholder or as the chart's default, and is put
in by heddlectl (cli/install/settings.cc). tests/deploy/test_manifest.py renders again and compares.
"""

import argparse
import json
import pathlib
import subprocess

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[1]
CHART = ROOT / "deploy/helm/heddle"
MANIFEST = ROOT / "deploy/manifest/heddle.json"
NAMESPACE = "heddle-placeholder-namespace"

# What stands where a setting goes. Words that nothing else of the manifest has.
PLACEHOLDERS = {
    "image.registry": "placeholder.invalid/registry",
    "image.tag": "placeholder-tag",
    "mesh.trustDomain": "placeholder-trust-domain",
    "mesh.clusterId": "placeholder-cluster-id",
    "mesh.clusterDomain": "placeholder-cluster-domain",
    "mesh.rootNamespace": "placeholder-root-namespace",
    "agent.cni.confDir": "/placeholder/cni/conf",
    "agent.cni.binDir": "/placeholder/cni/bin",
    "agent.host.cgroup": "/placeholder/cgroup",
    "agent.controllerAddress": "placeholder-controller:15012",
}


def without_helm(made):
    """Labels and annotations of Helm's own go; that an object outlives the release stays."""
    for meta in (made["metadata"], made.get("spec", {}).get("template", {}).get("metadata", {})):
        labels = meta.get("labels", {})
        for label in ("app.kubernetes.io/managed-by", "app.kubernetes.io/instance", "helm.sh/chart"):
            labels.pop(label, None)
    return made


def render(helm):
    """The text of the manifest."""
    values = [f"--set={name}={value}" for name, value in PLACEHOLDERS.items()]
    done = subprocess.run([helm, "template", "heddle", CHART, f"--namespace={NAMESPACE}", *values], check=True,
                          capture_output=True, text=True)
    objects = [without_helm(made) for made in yaml.safe_load_all(done.stdout)
               # heddlectl does itself what hooks do for helm.
               if made and "helm.sh/hook" not in made["metadata"].get("annotations", {})]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=1) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("helm", type=pathlib.Path, help="the program: helm 3")
    MANIFEST.parent.mkdir(exist_ok=True)
    MANIFEST.write_text(render(parser.parse_args().helm))


if __name__ == "__main__":
    main()
