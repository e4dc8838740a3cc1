"""Istio's custom resource definitions as Istio releases them: from the Go module istio.io/api, never from this tree.

    istio.install(cluster)                                  # all of them, until they are served
    istio.install(cluster, "AuthorizationPolicy")           # or some

The module's version and checksum stand in modules/istio. What was taken once stands in the cache of build.py.
"""

import hashlib
import json
import pathlib
import subprocess
import tempfile

import yaml
from topology.waiting import wait_until

from kube import build

MODULE = pathlib.Path(__file__).resolve().with_name("modules") / "istio"
FILE = "kubernetes/customresourcedefinitions.gen.yaml"
SECONDS = 60


def definitions_file():
    """The file with all definitions, taken from the module if it is not in the cache."""
    key = hashlib.sha256(b"\0".join(path.read_bytes() for path in sorted(MODULE.iterdir()))).hexdigest()[:16]
    kept = build.cache_folder() / f"istio-{key}.yaml"
    if not kept.is_file():
        build.cache_folder().mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=build.cache_folder(), prefix=".istio-", delete=False) as unfinished:
            unfinished.write((module_folder() / FILE).read_bytes())
        pathlib.Path(unfinished.name).rename(kept)
    return kept


def module_folder():
    """Where go has unpacked the module, after it has compared its checksum with go.sum."""
    done = subprocess.run(["go", "mod", "download", "-json", "istio.io/api"], cwd=MODULE, env=build.environment(),
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise build.BuildFailed(f"go mod download of istio.io/api: {done.stderr.strip() or done.stdout.strip()}")
    return pathlib.Path(json.loads(done.stdout)["Dir"])


def definitions(*kinds):
    """The definitions of these kinds, or of all, as objects."""
    made = [one for one in yaml.safe_load_all(definitions_file().read_text()) if one]
    missing = set(kinds) - {one["spec"]["names"]["kind"] for one in made}
    if missing:
        raise ValueError(f"{MODULE.name} has no definition of {', '.join(sorted(missing))}")
    return [one for one in made if not kinds or one["spec"]["names"]["kind"] in kinds]


def install(cluster, *kinds):
    """Installs them and waits until clients find them."""
    made = definitions(*kinds)
    cluster.kubectl("apply", "--server-side", "--filename=-", input=yaml.safe_dump_all(made))
    names = {one["metadata"]["name"] for one in made}
    cluster.kubectl("wait", "--for=condition=Established", *(f"crd/{name}" for name in sorted(names)))
    wait_until(lambda: names <= set(cluster.kubectl("api-resources", "--output=name").split()),
               "Istio's kinds are served", SECONDS)
