"""What the kubelet does with pods that refuse whoever is outside the mesh: probes of every kind, exec, logs,
port-forward."""

import re

import pytest
from acceptance.grpc_health import IMAGE, PORT, command
from acceptance.namespace import HTTPD, Namespace, pod, pod_spec, workload
from topology.waiting import wait_until

KINDS = ("startup", "readiness", "liveness")
HANDLERS = {
    "http": {"httpGet": {"port": 8080, "path": "/"}},
    "tcp": {"tcpSocket": {"port": 8080}},
    "exec": {"exec": {"command": ["test", "-f", "/www/index.html"]}},
    "grpc": {"grpc": {"port": PORT}},
}
ENOUGH = 5  # Probes of one kind of one container.
STRICT = {"apiVersion": "security.istio.io/v1", "kind": "PeerAuthentication", "metadata": {"name": "default"},
          "spec": {"mtls": {"mode": "STRICT"}}}


def probed(handler):
    program = {"name": "app", "image": IMAGE, "command": command()} if handler == "grpc" else HTTPD
    return {**program, **{f"{kind}Probe": {**HANDLERS[handler], "periodSeconds": 1, "timeoutSeconds": 3,
                                           "failureThreshold": 30 if kind == "startup" else 3} for kind in KINDS}}


@pytest.fixture(scope="module")
def strict(cluster, release, watch, grpc_image):
    strict = Namespace(release, "strict", watch=watch)
    strict.apply(STRICT, *(workload("DaemonSet", handler, pod_spec([probed(handler)])) for handler in HANDLERS))
    for handler in HANDLERS:
        strict.rolled_out(f"daemonset/{handler}")
    yield strict
    strict.remove()


def refused_from_outside(cluster, address, port):
    """From the machine of the control plane, which is no node of the mesh."""
    done = cluster.control.run(["curl", "-sS", "-m", "3", f"http://{address}:{port}/"], check=False)
    return done.returncode != 0


def successes(cluster, node):
    """{(pod, kind): successful probes}, as the node's kubelet counts them."""
    text = cluster.kubectl("get", "--raw", f"/api/v1/nodes/{node.name}/proxy/metrics/probes")
    found = {}
    for line in text.splitlines():
        labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
        if line.startswith("prober_probe_total") and labels["namespace"] == "strict" and \
                labels["result"] == "successful":
            key = labels["pod"], labels["probe_type"].lower()
            found[key] = found.get(key, 0) + float(line.split()[-1])
    return found


def test_pods_refuse_what_is_outside_the_mesh(cluster, strict):
    for handler in ("http", "tcp", "exec"):
        for each in strict.pods(handler):
            address = each["status"]["podIP"]
            wait_until(lambda: refused_from_outside(cluster, address, 8080), f"{handler} is STRICT", 20)


@pytest.mark.parametrize("handler", HANDLERS)
def test_probes_succeed_again_and_again(cluster, strict, handler):
    for each in strict.pods(handler):
        name, node = each["metadata"]["name"], cluster.nodes[int(each["spec"]["nodeName"][-1]) - 1]
        for kind, wanted in (("startup", 1), ("readiness", ENOUGH), ("liveness", ENOUGH)):
            wait_until(lambda: successes(cluster, node).get((name, kind), 0) >= wanted, f"{name} passes {kind}", 60)
        assert strict.pod(name)["status"]["containerStatuses"][0]["restartCount"] == 0


def test_exec_logs_and_port_forward_work(cluster, strict):
    says = "echo serving; exec httpd -f -p 8080 -h /www"
    strict.apply(pod("says", pod_spec([{**HTTPD, "command": ["sh", "-c", says]}], node="node2")))
    strict.ready("says")
    wait_until(lambda: refused_from_outside(cluster, strict.address("says"), 8080), "it is STRICT", 20)
    assert strict.shell("says", "echo here") == "here\n"
    assert strict.kubectl("logs", "says") == "serving\n"
    forward = cluster.control.spawn([cluster.programs["kubectl"], "--namespace=strict", "port-forward", "pod/says",
                                     ":8080"], "port-forward")
    forward.wait_ready(lambda: "Forwarding from" in forward.output(), "the port is forwarded")
    port = forward.output().split("127.0.0.1:")[1].split(" ")[0]
    assert "says" in cluster.control.run(["curl", "-fsS", "-m", "5", f"http://127.0.0.1:{port}/cgi-bin/whoami"]).stdout
    forward.stop()
    strict.delete("pod", "says")


def test_a_failing_liveness_probe_restarts_the_container_which_stays_in_the_mesh(cluster, release, strict):
    strict.apply(pod("fails", pod_spec([{**probed("http"), "livenessProbe": {**HANDLERS["http"], "periodSeconds": 1,
                                                                            "failureThreshold": 1}}], node="node2")))
    strict.ready("fails")
    strict.shell("fails", "rm /www/index.html")
    wait_until(lambda: strict.restarts()["fails"] > 0, "the container is new", 60, 0.5)
    strict.ready("fails")
    assert "strict/fails" in release.captured(cluster.nodes[1])
    assert refused_from_outside(cluster, strict.address("fails"), 8080)
    strict.delete("pod", "fails")
