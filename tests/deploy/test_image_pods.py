"""The images on a real node: containerd takes the archives, and their programs run as pods."""

import sys

import pytest
from conftest import ROOT
from kube.cluster import Cluster
from topology import wait_until

sys.path.insert(0, str(ROOT / "scripts"))
import image as image_script  # noqa: E402

POD_SECONDS = 60


@pytest.fixture(scope="module")
def cluster(prefix, tmp_path_factory):
    out = tmp_path_factory.mktemp("images")
    archives = [image_script.write(prefix, image, out, f"localhost/heddle-{image}:test")
                for image in image_script.IMAGES]
    with Cluster(nodes=1, images=archives) as made:
        yield made


@pytest.mark.parametrize("image, program", [("controller", "heddle-controller"), ("agent", "heddle-agent"),
                                            ("cli", "heddlectl")])
def test_a_pod_of_the_image_runs_its_program(cluster, image, program):
    # Without a security context that says otherwise, the image's user must be a number for this to start.
    context = '{"spec": {"securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}}}'
    cluster.kubectl("run", image, f"--image=localhost/heddle-{image}:test", "--restart=Never",
                    *([f"--overrides={context}"] if image != "agent" else []), "--", "version")

    def phase():
        return cluster.find("pod", image)["status"].get("phase")

    wait_until(lambda: phase() in ("Succeeded", "Failed"), f"{program} has ended", POD_SECONDS, 0.2)
    assert (phase(), cluster.kubectl("logs", image)) == ("Succeeded", f"{program} {image_script.version()}\n")
