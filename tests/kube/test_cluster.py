"""The cluster itself, without the mesh: what the suites of Heddle in a cluster stand on."""

import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from kube.cluster import Cluster
from kube.cluster.images import BUSYBOX
from topology import CommandFailed, wait_until
from topology.sweep import belongings

TESTS = pathlib.Path(__file__).resolve().parents[1]
ROLLOUT_SECONDS = 120

# One pod on each node. Pids 1 ignore SIGTERM unless they ask for it, so they get one second to go.
ECHO = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: echo}}
spec:
  replicas: 2
  selector: {{matchLabels: {{app: echo}}}}
  template:
    metadata: {{labels: {{app: echo}}}}
    spec:
      terminationGracePeriodSeconds: 1
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
          - {{topologyKey: kubernetes.io/hostname, labelSelector: {{matchLabels: {{app: echo}}}}}}
      containers:
      - name: echo
        image: {BUSYBOX}
        command: [sh, -c, "echo serving; exec httpd -f -p 8080 -h /www"]
        readinessProbe: {{httpGet: {{port: 8080, path: /}}, periodSeconds: 1}}
        livenessProbe: {{exec: {{command: [test, -f, /www/index.html]}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: echo}}
spec:
  selector: {{app: echo}}
  ports: [{{port: 80, targetPort: 8080}}]
"""

# What an agent of a mesh does on a node: it lays files and pins where the node and other pods find them.
AGENT = f"""
apiVersion: apps/v1
kind: DaemonSet
metadata: {{name: agent}}
spec:
  selector: {{matchLabels: {{app: agent}}}}
  template:
    metadata: {{labels: {{app: agent}}}}
    spec:
      hostNetwork: true
      hostPID: true
      terminationGracePeriodSeconds: 1
      containers:
      - name: agent
        image: {BUSYBOX}
        command: [sh, -c, "cp /bin/busybox /host/cni/agent && mkdir /host/bpf/agent && sleep 2147483647"]
        securityContext: {{privileged: true}}
        readinessProbe: {{exec: {{command: [test, -d, /host/bpf/agent]}}, periodSeconds: 1}}
        volumeMounts:
        - {{name: cni, mountPath: /host/cni}}
        - {{name: bpf, mountPath: /host/bpf, mountPropagation: Bidirectional}}
        - {{name: netns, mountPath: /host/netns, mountPropagation: HostToContainer}}
      volumes:
      - {{name: cni, hostPath: {{path: /opt/cni/bin}}}}
      - {{name: bpf, hostPath: {{path: /sys/fs/bpf}}}}
      - {{name: netns, hostPath: {{path: /run/netns}}}}
"""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=2) as made:
        made.kubectl("apply", "--filename=-", input=ECHO)
        made.kubectl("rollout", "status", "deployment/echo", f"--timeout={ROLLOUT_SECONDS}s", timeout=ROLLOUT_SECONDS)
        yield made


def pods(cluster, app="echo"):
    """Those that live, by the name of their node."""
    listed = json.loads(cluster.kubectl("get", "pods", f"--selector=app={app}", "--output=json"))["items"]
    return {pod["spec"]["nodeName"]: pod for pod in listed if "deletionTimestamp" not in pod["metadata"]}


def ready_pods(cluster):
    return [pod for pod in pods(cluster).values() if any(
        c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions", ()))]


def whoami_from_pod(cluster, pod, address, port):
    """(the client's address as the server saw it, the server's name)."""
    request = f"printf 'GET /cgi-bin/whoami HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} {port}"
    return cluster.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", request).split()[-2:]


def service_address(cluster):
    return cluster.find("service", "echo")["spec"]["clusterIP"]


def test_a_deployment_becomes_ready_on_both_nodes(cluster):
    found = pods(cluster)
    assert sorted(found) == ["node1", "node2"]
    assert cluster.find("deployment", "echo")["status"]["readyReplicas"] == 2


def test_pods_reach_each_other_across_nodes_with_their_own_address(cluster):
    first, second = (pods(cluster)[node.name] for node in cluster.nodes)
    for client, server in ((first, second), (second, first), (first, first)):
        answer = whoami_from_pod(cluster, client, server["status"]["podIP"], 8080)
        assert answer == [client["status"]["podIP"], server["metadata"]["name"]]


def test_a_service_leads_to_every_pod_from_pods_and_from_nodes(cluster):
    address, found = service_address(cluster), pods(cluster)
    names = {pod["metadata"]["name"] for pod in found.values()}

    def asked(ask):
        seen = set()
        wait_until(lambda: seen.add(ask()) or seen == names, "the service leads to both pods", 60)

    for node in cluster.nodes:
        asked(lambda: whoami_from_pod(cluster, found[node.name], address, 80)[1])
        asked(lambda: node.run(["curl", "-fsS", "-m", "5", f"http://{address}/cgi-bin/whoami"]).stdout.split()[1])


def test_the_api_server_is_a_service_to_pods(cluster):
    pod = pods(cluster)["node1"]
    request = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 10.96.0.1 443"
    assert "Client sent an HTTP request to an HTTPS server" in cluster.kubectl(
        "exec", pod["metadata"]["name"], "--", "sh", "-c", request)


def test_logs_are_read_and_commands_run_in_pods_of_both_nodes(cluster):
    for node, pod in pods(cluster).items():
        assert cluster.kubectl("logs", pod["metadata"]["name"]) == "serving\n"
        assert cluster.kubectl("exec", pod["metadata"]["name"], "--", "hostname").strip() == pod["metadata"]["name"]
        with pytest.raises(CommandFailed) as failed:
            cluster.kubectl("exec", pod["metadata"]["name"], "--", "sh", "-c", "exit 7")
        assert failed.value.code == 7


def test_a_failing_liveness_probe_restarts_the_container(cluster):
    pod = pods(cluster)["node1"]

    def status():
        return cluster.find("pod", pod["metadata"]["name"])["status"]["containerStatuses"][0]

    before = status()["restartCount"]
    cluster.kubectl("exec", pod["metadata"]["name"], "--", "rm", "/www/index.html")
    wait_until(lambda: status()["restartCount"] > before and status()["ready"], "the container is new", 90, 0.5)


def test_every_process_of_a_pod_is_in_a_cgroup_of_its_own_under_the_nodes(cluster):
    pod = pods(cluster)["node2"]
    cgroup = pod["metadata"]["uid"]
    found = [path for path in cluster.nodes[1].cgroup_root.trees[0].path.rglob("pod*") if cgroup in path.name]
    assert len(found) == 1
    processes = [folder for folder in found[0].iterdir() if folder.is_dir()]
    assert len(processes) == 2  # The pause container, and the one of the manifest.


def test_a_privileged_daemon_set_sees_and_changes_its_node(cluster):
    cluster.kubectl("apply", "--filename=-", input=AGENT)
    cluster.kubectl("rollout", "status", "daemonset/agent", f"--timeout={ROLLOUT_SECONDS}s", timeout=ROLLOUT_SECONDS)
    cluster.kubectl("delete", "pod", "--selector=app=echo")  # Those that follow are younger than the agent.
    wait_until(lambda: len(ready_pods(cluster)) == 2, "new pods are ready", ROLLOUT_SECONDS, 0.5)
    for node in cluster.nodes:
        name = pods(cluster, "agent")[node.name]["metadata"]["name"]
        node.run(["test", "-x", "/opt/cni/bin/agent", "-a", "-d", "/sys/fs/bpf/agent"])
        assert "link0" in cluster.kubectl("exec", name, "--", "ip", "addr")
        assert "kubelet" in cluster.kubectl("exec", name, "--", "ps")  # The node's processes, by hostPID.
        # It can enter the network namespace of a pod that came later.
        seen = cluster.kubectl("exec", name, "--", "ls", "/host/netns").split()
        assert seen == sorted(node.run(["ls", "/run/netns"]).stdout.split()) and seen
        address = pods(cluster)[node.name]["status"]["podIP"]
        entered = [cluster.kubectl("exec", name, "--", "nsenter", f"--net=/host/netns/{netns}", "--", "ip", "addr")
                   for netns in seen]
        assert any(f"inet {address}/" in output for output in entered)
    cluster.kubectl("delete", "daemonset/agent", "--wait=true")


def test_kubelet_and_containerd_restart_under_running_pods(cluster):
    node = cluster.nodes[0]
    before = pods(cluster)["node1"]["status"]["containerStatuses"][0]["containerID"]
    node.kubelet.kill()
    node.containerd.kill()
    node.start_containerd()
    node.start_kubelet()
    cluster.wait_ready(node)
    after = pods(cluster)["node1"]
    assert after["status"]["containerStatuses"][0]["containerID"] == before
    say = ["exec", after["metadata"]["name"], "--", "echo", "here"]
    wait_until(lambda: cluster.kubectl(*say, check=False) == "here\n", "kubelet knows its pods again", 60)
    assert whoami_from_pod(cluster, after, service_address(cluster), 80)


def test_a_node_loses_power_and_comes_back_with_its_pods(cluster):
    node, address = cluster.nodes[1], service_address(cluster)
    before = pods(cluster)["node2"]
    node.power_off()
    assert node.cgroup_root.pids() == []
    node.power_on()
    cluster.wait_ready(node)

    def is_new():
        pod = pods(cluster).get("node2")
        statuses = pod["status"].get("containerStatuses", ()) if pod else ()
        return pod if any(s["ready"] and s["restartCount"] for s in statuses) else None

    after = wait_until(is_new, "the pod runs again", ROLLOUT_SECONDS, 0.5)
    assert after["metadata"]["uid"] == before["metadata"]["uid"]
    assert whoami_from_pod(cluster, after, pods(cluster)["node1"]["status"]["podIP"], 8080)
    assert whoami_from_pod(cluster, pods(cluster)["node1"], after["status"]["podIP"], 8080)
    node.run(["curl", "-fsS", "-m", "5", f"http://{address}/cgi-bin/whoami"])


def test_the_control_plane_alone_takes_objects_and_answers_on_loopback_only():
    with Cluster(nodes=0) as cluster:
        cluster.kubectl("apply", "--filename=-", input=ECHO)
        assert cluster.find("deployment", "echo")["spec"]["replicas"] == 2
        listening = cluster.control.run(["ss", "-Hltn"]).stdout.split()[3::5]
        assert all(address.startswith("127.0.0.1:") for address in listening)


def test_helm_installs_and_uninstalls_a_chart(tmp_path):
    (tmp_path / "templates").mkdir()
    (tmp_path / "Chart.yaml").write_text("{apiVersion: v2, name: note, version: 1.0.0}")
    (tmp_path / "templates" / "note.yaml").write_text(
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: note}, data: {release: {{ .Release.Name }}}}")
    with Cluster(nodes=0) as cluster:
        cluster.helm("install", "first", tmp_path)
        assert cluster.find("configmap", "note")["data"] == {"release": "first"}
        cluster.helm("uninstall", "first")
        assert cluster.find("configmap", "note") is None


MAKER = f"""
import signal
from kube.cluster import Cluster
with Cluster(nodes=1) as cluster:
    cluster.kubectl("run", "echo", "--image={BUSYBOX}", "--command", "--", "httpd", "-f")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/echo", "--timeout=60s", timeout=90)
    print("up", flush=True)
    signal.pause()
"""
# A kubelet and a kube-proxy set these for a whole machine, unless they are kept from it.
MACHINE_WIDE = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops",
                "kernel/keys/root_maxkeys", "kernel/keys/root_maxbytes", "net/netfilter/nf_conntrack_max")


def machine():
    """What a cluster must leave alone: interfaces, routes, sysctls, and folders that installers of nodes fill."""
    settings = [pathlib.Path("/proc/sys", key) for key in MACHINE_WIDE]
    folders = ("/etc/cni/net.d", "/opt/cni/bin", "/var/lib/kubelet", "/var/lib/containerd", "/var/lib/cni",
               "/var/log/pods", pathlib.Path.home() / ".kube", pathlib.Path.home() / ".cache")
    return (subprocess.run(["ip", "-o", "addr"], check=True, capture_output=True).stdout,
            subprocess.run(["ip", "route", "show", "table", "all"], check=True, capture_output=True).stdout,
            [path.read_text() for path in settings if path.exists()],
            [sorted(os.listdir(folder)) for folder in folders if os.path.isdir(folder)])


def remains(pid):
    """Everything on this machine that is of clusters that the process made."""
    mounts = [line for line in pathlib.Path("/proc/mounts").read_text().splitlines() if f"hd{pid}-" in line]
    processes = subprocess.run(["pgrep", "--full", "--list-full", f"hd{pid}-"], capture_output=True, text=True).stdout
    return [*map(str, belongings(pid)), *mounts, *processes.splitlines()]


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda number: number.name)
def test_nothing_is_left_of_a_cluster_with_running_pods(end):
    before = machine()
    maker = subprocess.Popen([sys.executable, "-c", MAKER], stdout=subprocess.PIPE, text=True, cwd=TESTS)
    try:
        assert maker.stdout.readline() == "up\n"
        found = remains(maker.pid)
        assert any("kubelet" in line for line in found) and any("/node1" in line for line in found)
    finally:
        maker.send_signal(end)
        maker.wait(60)
    if end == signal.SIGKILL:
        assert remains(maker.pid)
        subprocess.run([sys.executable, "-m", "topology.sweep"], check=True, cwd=TESTS)
    wait_until(lambda: not remains(maker.pid), "the last process is reaped", 10)
    assert machine() == before


def test_by_hand_a_cluster_comes_up_answers_kubectl_and_goes(tmp_path):
    def kube(*arguments):
        argv = [sys.executable, "-m", "kube", f"--state={tmp_path / 'cluster.json'}", *arguments]
        return subprocess.run(argv, cwd=TESTS, capture_output=True, text=True, timeout=300)

    try:
        assert "up after" in kube("up", "--nodes=0").stdout
        keeper = json.loads((tmp_path / "cluster.json").read_text())["keeper"]
        assert "a cluster is up already" in kube("up", "--nodes=0").stderr
        assert kube("kubectl", "-o", "name", "get", "namespace", "default").stdout == "namespace/default\n"
        assert "127.0.0.1:6443" in kube("exec", "control", "ss", "-Hltn").stdout
        assert kube("exec", "control", "echo", "--", "-o").stdout == "-- -o\n"  # As after `kubectl exec POD`.
    finally:
        said = kube("down").stdout
    assert said == "kube: down\n"
    assert remains(keeper) == []
    assert "no cluster is up" in kube("kubectl", "get", "namespaces").stderr
