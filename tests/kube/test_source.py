"""The controller on a real API server: what it publishes is what the same objects, dumped into a directory, give."""

import json
import os
import pathlib
import shutil
import signal

import pytest
import yaml
from kube.cluster import Cluster
from topology.waiting import Timeout, wait_until

BINARIES = pathlib.Path(os.environ.get("HEDDLE_BIN", "build/release/bin"))
SECONDS = 20

# What `kubectl get` calls the kinds that the controller reads.
KINDS = ["namespaces", "nodes", "pods", "services", "endpointslices.discovery.k8s.io"]
CUSTOM_KINDS = ["peerauthentications.security.istio.io", "authorizationpolicies.security.istio.io",
                "interceptionpolicies.heddle.io"]


def definition(kind, group, version):
    """A custom kind whose objects are not checked: what is refused here is for the controller to refuse."""
    plural = kind.lower()[:-1] + "ies" if kind.endswith("y") else kind.lower() + "s"
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {"group": group, "scope": "Namespaced", "names": {"kind": kind, "plural": plural},
                     "versions": [{"name": version, "served": True, "storage": True,
                                   "schema": {"openAPIV3Schema": schema}}]}}


DEFINITIONS = [definition("PeerAuthentication", "security.istio.io", "v1"),
               definition("AuthorizationPolicy", "security.istio.io", "v1beta1"),
               definition("InterceptionPolicy", "heddle.io", "v1alpha1")]


def pod(name, node="n1"):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": name.split("-")[0]}},
            "spec": {"nodeName": node, "serviceAccountName": "web", "automountServiceAccountToken": False,
                     "containers": [{"name": "c", "image": "none:1",
                                     "ports": [{"name": "http", "containerPort": 8080}]}]}}


def status(ip):
    return {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                       "conditions": [{"type": "Ready", "status": "True"}]}}


OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace",
     "metadata": {"name": "shop", "labels": {"istio.io/dataplane-mode": "ambient"}}},
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}},
    # Where controllers keep what they share.
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "heddle-system"}},
    {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}},
    *({"apiVersion": "v1", "kind": "Node",
       "metadata": {"name": name, "labels": {"topology.kubernetes.io/region": "r",
                                             "topology.kubernetes.io/zone": name}}}
      for name in ("n1", "n2")),
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"},
     "spec": {"selector": {"app": "web"}, "ports": [{"name": "http", "port": 80, "targetPort": "http"}]}},
    {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "headless", "namespace": "shop"},
     "spec": {"clusterIP": "None", "selector": {"app": "web"}, "ports": [{"port": 8080}]}},
    {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
     "metadata": {"name": "web-1", "namespace": "shop", "labels": {"kubernetes.io/service-name": "web"}},
     "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
     "endpoints": [{"addresses": ["10.9.0.1"], "conditions": {"ready": True}, "nodeName": "n1",
                    "targetRef": {"kind": "Pod", "name": "web-1", "namespace": "shop"}}]},
]
POLICIES = [
    {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication",
     "metadata": {"name": "strict", "namespace": "shop"},
     "spec": {"selector": {"matchLabels": {"app": "web"}}, "mtls": {"mode": "STRICT"},
              "portLevelMtls": {"8080": {"mode": "PERMISSIVE"}}}},
    {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy",
     "metadata": {"name": "allow", "namespace": "shop"},
     "spec": {"selector": {"matchLabels": {"app": "web"}},
              "rules": [{"from": [{"source": {"namespaces": ["shop"]}}], "to": [{"operation": {"ports": ["8080"]}}]}]}},
    {"apiVersion": "security.istio.io/v1beta1", "kind": "AuthorizationPolicy",
     "metadata": {"name": "wrong", "namespace": "shop"}, "spec": {"action": "NONSENSE"}},
    {"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy",
     "metadata": {"name": "mysql", "namespace": "shop"}, "spec": {"excludedOutboundPorts": [3306]}},
]


# A kind that steers traffic elsewhere and has no effect here.
IGNORED = "VirtualService"


class Controller:
    """A controller on loopback of the control machine. The programs of one test have ports of their own."""

    def __init__(self, cluster, name, port, *source):
        self._place, self._port = cluster.control, port
        self.state = cluster.dir / name
        self.state.mkdir(mode=0o700)
        self.process = self._place.spawn(
            [BINARIES / "heddle-controller", "run", "--state-dir", self.state, "--listen", f"127.0.0.1:{port}",
             "--debug-listen", f"127.0.0.1:{port + 1}", *source], name)

    def get(self, path):
        url = f"http://127.0.0.1:{self._port + 1}{path}"
        return self._place.run(["curl", "-sS", "-m", "5", url]).stdout

    def is_ready(self):
        url = f"http://127.0.0.1:{self._port + 1}/healthz/ready"
        done = self._place.run(["curl", "-s", "-m", "2", url], check=False)
        return done.stdout == "ready\n"

    def wait_ready(self):
        self.process.wait_ready(self.is_ready, "the controller is ready", SECONDS)
        return self

    def resources(self):
        return json.loads(self.get("/debug/resources"))

    def refused(self):
        rows = json.loads(self.get("/debug/objects"))
        return [row for row in rows if row["state"] == "refused" and row["kind"] != IGNORED]

    def notes_of(self, kind):
        return [row["note"] for row in json.loads(self.get("/debug/objects")) if row["kind"] == kind]

    def metric(self, name, kind):
        line = f'heddle_controller_kube_{name}{{kind="{kind}"}} '
        return next(int(text[len(line):]) for text in self.get("/metrics").splitlines() if text.startswith(line))

    def wait_for(self, condition, what, seconds=SECONDS):
        try:
            return wait_until(condition, what, seconds, 0.1)
        except Timeout as timeout:
            raise AssertionError(f"{timeout}; the controller says:\n{self.process.output()[-3000:]}") from None


def apply(cluster, objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


def start_pod(cluster, name, ip, node="n1"):
    apply(cluster, [pod(name, node)])
    cluster.kubectl("patch", "pod", name, "--namespace=shop", "--subresource=status", "--type=merge",
                    f"--patch={json.dumps(status(ip))}")


def dump(cluster, folder):
    """Everything as kubectl prints it, in one file for each kind."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for kind in KINDS + CUSTOM_KINDS:
        text = cluster.kubectl("get", kind, "--all-namespaces", "--output=yaml")
        (folder / f"{kind}.yaml").write_text(text)


def install_policies(cluster):
    apply(cluster, DEFINITIONS)
    for made in DEFINITIONS:
        cluster.kubectl("wait", "--for=condition=Established", f"crd/{made['metadata']['name']}")
    apply(cluster, POLICIES)


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        apply(made, OBJECTS)
        start_pod(made, "web-1", "10.9.0.1")
        start_pod(made, "web-2", "10.9.0.2", "n2")
        apply(made, [definition(IGNORED, "networking.istio.io", "v1")])
        made.kubectl("wait", "--for=condition=Established", "crd/virtualservices.networking.istio.io")
        apply(made, [{"apiVersion": "networking.istio.io/v1", "kind": IGNORED,
                      "metadata": {"name": "routes", "namespace": "shop"}, "spec": {"hosts": ["web"]}}])
        yield made


@pytest.fixture(scope="module")
def controller(cluster):
    """Known by a client certificate, started before any custom kind is there."""
    certificate, key = cluster.pki.issue("heddle-controller", "/O=system:masters/CN=heddle-controller", "clientAuth")
    config = yaml.safe_load(pathlib.Path(cluster.control_plane.kubeconfig("admin")).read_text())
    config["users"][0]["user"] = {"client-certificate": str(certificate), "client-key": str(key)}
    path = cluster.dir / "certificate.kubeconfig"
    path.write_text(yaml.safe_dump(config))
    made = Controller(cluster, "by-certificate", 20000, "--source", "kubernetes", "--kubeconfig", path)
    return made.wait_ready()


def test_serves_a_cluster_without_custom_kinds(controller):
    resources = controller.resources()
    assert len(resources["nodePods"]["n1"]) == len(resources["nodePods"]["n2"]) == 1
    assert len([name for name in resources["addresses"] if "/Pod/shop/" in name]) == 2
    assert controller.refused() == []
    assert controller.metric("failures_total", "PeerAuthentication") == 0


def test_says_that_a_kind_has_no_effect(controller):
    controller.wait_for(lambda: controller.notes_of(IGNORED) == [
        "this kind is not supported, and there is one object of it; it has no effect"], "it is said")


def test_a_dump_as_a_directory_gives_the_same_resources(cluster, controller):
    install_policies(cluster)
    controller.wait_for(lambda: controller.metric("objects", "InterceptionPolicy") == 1 and
                        controller.metric("objects", "AuthorizationPolicy") == 2 and
                        controller.metric("objects", "PeerAuthentication") == 1, "the policies are there")
    folder = cluster.dir / "dump"
    dump(cluster, folder)
    files = Controller(cluster, "from-files", 20010, "--config-dir", folder).wait_ready()
    resources = files.resources()
    assert len(resources["authorizations"]) >= 2
    controller.wait_for(lambda: controller.resources() == resources, "the same resources")
    assert [(row["kind"], row["name"]) for row in controller.refused()] == [("AuthorizationPolicy", "shop/wrong")]
    assert [row["note"] for row in controller.refused()] == [row["note"] for row in files.refused()]
    files.process.stop()


def test_follows_changes_by_watches_alone(cluster, controller):
    lists = controller.metric("lists_total", "Pod")
    start_pod(cluster, "late-1", "10.9.0.3")
    controller.wait_for(lambda: any("late-1" in name for name in controller.resources()["addresses"]), "a new pod")
    cluster.kubectl("delete", "pod", "late-1", "--namespace=shop", "--force", "--grace-period=0")
    controller.wait_for(lambda: not any("late-1" in name for name in controller.resources()["addresses"]), "it is gone")
    assert controller.metric("lists_total", "Pod") == lists


def test_an_api_server_that_starts_again_changes_nothing(cluster, controller):
    before = controller.resources()
    cluster.control_plane.api_server.kill()
    controller.wait_for(lambda: any("connecting" in row["note"] for row in controller.refused()), "it is said")
    assert controller.resources() == before
    cluster.control_plane.start_api_server()
    start_pod(cluster, "after-1", "10.9.0.4")
    controller.wait_for(lambda: any("after-1" in name for name in controller.resources()["addresses"]), "it goes on")
    controller.wait_for(lambda: len(controller.refused()) == 1, "and is well again")
    assert controller.metric("expired_total", "Namespace") <= 1


def test_a_version_that_is_no_longer_known_is_a_list_of_differences(cluster, controller):
    expired = controller.metric("expired_total", "Pod")
    # It is stopped while it has no connection, or it would find the changes in its socket.
    cluster.control_plane.api_server.kill()
    controller.wait_for(lambda: any("connecting" in row["note"] for row in controller.refused()), "it is said")
    controller.process.signal(signal.SIGSTOP)
    try:
        cluster.control_plane.start_api_server()
        cluster.kubectl("delete", "pod", "after-1", "--namespace=shop", "--force", "--grace-period=0")
        start_pod(cluster, "fresh-1", "10.9.0.5")
        # The cache of a new API server begins now, behind the version at which the controller stands.
        cluster.control_plane.api_server.kill()
        cluster.control_plane.start_api_server()
    finally:
        controller.process.signal(signal.SIGCONT)
    controller.wait_for(lambda: any("fresh-1" in name for name in controller.resources()["addresses"]), "it goes on")
    controller.wait_for(lambda: not any("after-1" in name for name in controller.resources()["addresses"]), "both ways")
    assert controller.metric("expired_total", "Pod") > expired


def test_a_kind_that_is_removed_takes_its_objects_along(cluster, controller):
    cluster.kubectl("delete", "crd", "interceptionpolicies.heddle.io")
    # Not at once: a server that does not find a kind may just not know it yet.
    controller.wait_for(lambda: controller.metric("objects", "InterceptionPolicy") == 0, "the objects are gone", 60)
    apply(cluster, DEFINITIONS)
    cluster.kubectl("wait", "--for=condition=Established", "crd/interceptionpolicies.heddle.io")
    apply(cluster, POLICIES)
    controller.wait_for(lambda: controller.metric("objects", "InterceptionPolicy") == 1, "and are there again")


def test_who_may_not_read_a_kind_serves_nothing_and_says_so(cluster):
    # A kube-proxy may list services and nodes, and no pods.
    config = cluster.control_plane.kubeconfig("proxy")
    made = Controller(cluster, "forbidden", 20020, "--source", "kubernetes", "--kubeconfig", config)
    made.process.wait_ready(lambda: "403 Forbidden" in made.process.output(), "it is said", SECONDS)
    made.wait_for(made.refused, "it is said of the kinds as well")
    assert not made.is_ready()
    assert any("is forbidden" in row["note"] and "nothing is served" in row["note"] for row in made.refused())
    assert made.process.stop() == 0
