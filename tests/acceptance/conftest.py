"""One cluster with Heddle on it for all files of a run; what destroys comes in a run of its own (CMakeLists.txt)."""

import json
import os
import pathlib

import pytest
from acceptance import grpc_health
from acceptance.namespace import HTTPD, Namespace, pod, pod_spec
from acceptance.shop import open_shop
from acceptance.release import NAMESPACE, ROOT, Release, write_archives
from acceptance.traffic import Traffic, assert_inside
from acceptance.witness import Watch
from kube.cluster import Cluster


@pytest.fixture(scope="session")
def build():
    return pathlib.Path(os.environ.get("HEDDLE_BUILD", ROOT / "build/release"))


@pytest.fixture(scope="session")
def cluster(build, tmp_path_factory):
    with Cluster(nodes=2, images=write_archives(build, tmp_path_factory.mktemp("images")), dns=True,
                 audit=NAMESPACE) as made:
        yield made


@pytest.fixture(scope="session")
def release(cluster):
    release = Release(cluster)
    release.install()
    return release


@pytest.fixture(scope="session")
def api(cluster):
    """api(method, path, body=None): the API server without the 0.1 s that a kubectl takes to start."""
    proxy = cluster.control.spawn([cluster.programs["kubectl"], "proxy", "--port=0"], "kubectl-proxy")
    proxy.wait_ready(lambda: "Starting to serve" in proxy.output(), "the proxy serves")
    address = proxy.output().split(" on ")[1].strip()

    def call(method, path, body=None):
        argv = ["curl", "-fsS", "-m", "30", "-X", method, f"http://{address}{path}"]
        if body is not None:
            argv += ["-H", "Content-Type: application/json", "--data-binary", "@-"]
        return cluster.control.run(argv, input=json.dumps(body) if body is not None else None).stdout

    return call


@pytest.fixture(scope="session")
def grpc_image(cluster, tmp_path_factory):
    archive = grpc_health.write_archive(tmp_path_factory.mktemp("grpc-health") / "image.tar")
    for node in cluster.nodes:
        node.import_image(archive)


@pytest.fixture(scope="session")
def watch(cluster, release):
    """Independent of what a test asserts: at the end of the run nothing has crossed in clear."""
    watch = Watch(cluster)
    yield watch
    assert watch.leaks() == []
    assert {address.rpartition(".")[0] for address in watch.hbone} == {
        node.pod_subnet.rpartition(".")[0] for node in cluster.nodes}


@pytest.fixture(scope="session")
def shop(release, watch):
    return open_shop(release, watch)


@pytest.fixture(scope="session")
def plain(release):
    """A namespace outside the mesh, and the agent of node1 knows it, because a pod of it is there."""
    plain = Namespace(release, "plain", enrolled=False)
    plain.apply(pod("first", pod_spec([HTTPD], node="node1")))
    plain.ready("first")
    return plain


@pytest.fixture
def traffic(request, cluster, release, shop):
    before = shop.restarts()
    made = Traffic(shop, request.node.name)
    yield made
    made.stop()
    assert_inside(cluster, release, shop)
    assert shop.restarts() == before
