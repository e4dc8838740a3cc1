"""The Helm chart: what it renders, to the real programs and to a real API server. That it makes a mesh is for
test_mesh.py."""

import contextlib
import json
import os
import re
import subprocess

import pytest
import yaml
from conftest import ROOT
from kube.cluster import Cluster
from topology import CommandFailed

CHART = ROOT / "deploy/helm/heddle"
NAMESPACE = "heddle-system"
ACCOUNT = f"system:serviceaccount:{NAMESPACE}:heddle-controller"
VARIANTS = {
    "defaults": (),
    "everything": (
        "controller.replicas=2", "image.tag=1.2.3", "image.pullSecrets={registry}", "mesh.network=east",
        "agent.workers=4", "agent.seLinuxOptions.type=spc_t", "controller.tolerations[0].operator=Exists",
        "agent.podLabels.team=net", "controller.podAnnotations.note=x", "log.format=json",
        "agent.startupTaint.enabled=true", "agent.updateStrategy=OnDelete"),
    "trial": ("agent.seccomp.type=RuntimeDefault", "crds.install=false",
              "agent.cni.install=false"),
}


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        made.kubectl("create", "namespace", NAMESPACE)
        yield made


def template(cluster, *values):
    """The objects, in order."""
    text = cluster.helm("template", "heddle", CHART, f"--namespace={NAMESPACE}", *(f"--set={v}" for v in values))
    return [found for found in yaml.safe_load_all(text) if found]


def find(objects, kind, name):
    found, = (o for o in objects if o["kind"] == kind and o["metadata"]["name"] == name)
    return found


def pod_spec(objects, kind, name):
    return find(objects, kind, name)["spec"]["template"]["spec"]


def test_lint_finds_nothing(cluster):
    assert "1 chart(s) linted, 0 chart(s) failed" in cluster.helm("lint", "--strict", CHART)


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_api_server_takes_every_object(cluster, variant):
    objects = template(cluster, *VARIANTS[variant])
    done = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "--filename=-",
                           input=yaml.safe_dump_all(objects))
    assert done.count("(server dry run)") == len(objects)
    assert {o["metadata"].get("namespace", NAMESPACE) for o in objects} == {NAMESPACE}


@pytest.mark.parametrize("wrong, why", [
    ("agent.workerz=3", "workerz"), ("agent.backend=uring", "backend"), ("controller.replicas=-1", "replicas"),
    ("mesh.trustDomain=Upper", "trustDomain"), ("agent.capabilities={ALL}", "capabilities"),
    ("agent.host.run=run", "run"), ("agent.terminationGracePeriodSeconds=5", "terminationGracePeriodSeconds"),
    ("agent.cni.platform=openshift", "platform"), ("agent.updateStrategy=Recreate", "updateStrategy"),
    ("agent.cni.binDir=/opt/bin", "go together"),
    ("controller.state.kind=claim", "state"), ("agent.credentials.hostPath=/etc/heddle", "credentials")])
def test_a_wrong_value_is_refused_by_name(cluster, wrong, why):
    with pytest.raises(CommandFailed, match=re.escape(why)):
        template(cluster, wrong)


def test_every_value_has_a_comment_of_its_own_and_a_place_in_the_schema():
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = (CHART / "values.yaml").read_text()
    lines = text.split("\n")
    assert schema["additionalProperties"] is False
    uncommented = []

    def walk(part, described, path):
        """`part` is the mapping as it was parsed, so that keys know their lines."""
        assert described["additionalProperties"] is False, path
        assert {key.value for key, _ in part.value} == set(described["properties"]) - {"global"}, path
        for key, value in part.value:
            inner = described["properties"][key.value]
            if isinstance(value, yaml.MappingNode) and "properties" in inner and not set(inner) & {"minProperties"}:
                walk(value, inner, [*path, key.value])
            elif not lines[key.start_mark.line - 1].strip().startswith("# "):
                uncommented.append(".".join([*path, key.value]))

    walk(yaml.compose(text), schema, [])
    assert uncommented == []


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_programs_take_the_arguments_that_they_get(cluster, build, variant):
    objects = template(cluster, *VARIANTS[variant])
    for kind, name in (("DaemonSet", "heddle-agent"), ("Deployment", "heddle-controller")):
        container, = pod_spec(objects, kind, name)["containers"]
        assert container["args"][0] == "run"
        checked = subprocess.run([build / "bin" / name, "check-config", *container["args"][1:]], capture_output=True,
                                 text=True, env={**os.environ, "NODE_NAME": "node1"})
        assert checked.returncode == 0, checked.stderr
        assert json.loads(checked.stdout)["clusterId"] == "Kubernetes"


def test_agent_and_controller_agree_on_names_and_ports(cluster):
    objects = template(cluster)
    agent = pod_spec(objects, "DaemonSet", "heddle-agent")["containers"][0]["args"]
    controller = pod_spec(objects, "Deployment", "heddle-controller")["containers"][0]["args"]
    name = f"heddle-controller.{NAMESPACE}.svc"
    assert {f"--controller={name}:15012", f"--controller-name={name}"} < set(agent)
    assert f"--server-names={name},heddle-controller" in controller and "--listen=[::]:15012" in controller
    exempt = f"--exempt-namespaces=kube-system,{NAMESPACE}"
    assert exempt in agent and exempt in controller
    service = find(objects, "Service", "heddle-controller")
    assert service["spec"]["selector"] == {"app": "heddle-controller"}
    assert {port["port"] for port in service["spec"]["ports"]} == {15012, 15014}


@pytest.mark.parametrize("platform", ["default", "eks", "gke", "k3d", "k3s", "microk8s", "minikube"])
def test_a_platform_is_what_the_agent_takes_it_for(cluster, build, platform):
    spec = pod_spec(template(cluster, f"agent.cni.platform={platform}"), "DaemonSet", "heddle-agent")
    known = json.loads(subprocess.check_output([
        build / "bin/heddle-agent", "check-config", "--node-name=a", "--controller=b:1", "--token-file=c",
        "--controller-roots=d", f"--cni-platform={platform}"]))
    paths = {volume["name"]: volume.get("hostPath", {}).get("path") for volume in spec["volumes"]}
    assert (paths["cni-conf"], paths["cni-bin"]) == (known["cniConfDir"], known["cniBinDir"])
    container, = spec["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert {f"--cni-conf-dir={mounts['cni-conf']}", f"--cni-bin-dir={mounts['cni-bin']}"} < set(container["args"])
    assert all(mounts[name] == paths[name] for name in ("cni-conf", "cni-bin", "run", "netns"))


def test_the_agent_has_listed_capabilities_and_nothing_of_the_api(cluster):
    spec = pod_spec(template(cluster), "DaemonSet", "heddle-agent")
    context = spec["containers"][0]["securityContext"]
    assert not context["privileged"] and context["readOnlyRootFilesystem"]
    assert context["capabilities"]["drop"] == ["ALL"] and "SYS_MODULE" not in context["capabilities"]["add"]
    assert context["seccompProfile"] == {"type": "Localhost", "localhostProfile": "heddle/agent.json"}
    place, = (container["command"] for container in spec["initContainers"])
    take = spec["containers"][0]["lifecycle"]["preStop"]["exec"]["command"]
    assert take[-2:] == ["take-file", place[-1]]  # Once the mesh has left the node.
    other = pod_spec(template(cluster, "agent.seccomp.type=RuntimeDefault"), "DaemonSet", "heddle-agent")
    assert "lifecycle" not in other["containers"][0] and "initContainers" not in other
    assert spec["automountServiceAccountToken"] is False
    projected, = (volume["projected"] for volume in spec["volumes"] if "projected" in volume)
    token = projected["sources"][0]["serviceAccountToken"]
    audience = re.search(r'kAudience\[\] = "(.*?)"', (ROOT / "controlplane/callers/token_review.h").read_text())[1]
    assert token == {"path": "token", "audience": audience, "expirationSeconds": 3600}
    assert not any("ports" in container for container in spec["containers"])
    assert "exec" in spec["containers"][0]["readinessProbe"]
    assert spec["tolerations"] == [{"operator": "Exists"}] and spec["priorityClassName"] == "system-node-critical"
    mounted = {mount["name"] for container in [*spec["containers"], *spec["initContainers"]]
               for mount in container["volumeMounts"]}
    assert mounted == {volume["name"] for volume in spec["volumes"]}


def test_the_seccomp_profile_is_a_list_of_what_is_allowed(cluster):
    profile = json.loads(find(template(cluster), "ConfigMap", "heddle-agent-seccomp")["data"]["seccomp-agent.json"])
    allowed = {name for rule in profile["syscalls"] for name in rule["names"]}
    assert profile["defaultAction"] == "SCMP_ACT_ERRNO"
    assert {"bpf", "setns", "io_uring_setup", "io_uring_enter", "io_uring_register"} < allowed
    # fsopen, fsconfig and fsmount make a procfs that is attached nowhere; attaching one is not allowed.
    assert not allowed & {"mount", "move_mount", "open_tree", "pivot_root", "umount2", "unshare", "ptrace", "reboot",
                          "kexec_load", "init_module", "add_key"}


def test_the_start_up_taint_is_tolerated_and_its_removal_has_to_be_asked_for(cluster):
    plain = template(cluster)
    assert not any(o["metadata"]["name"] == "heddle-controller-startup-taint" for o in plain)
    assert "--startup-taint" not in pod_spec(plain, "Deployment", "heddle-controller")["containers"][0]["args"]
    toleration = {"key": "heddle.io/not-ready", "operator": "Exists", "effect": "NoSchedule"}
    assert toleration in pod_spec(plain, "Deployment", "heddle-controller")["tolerations"]
    asked = template(cluster, "agent.startupTaint.enabled=true")
    assert "--startup-taint" in pod_spec(asked, "Deployment", "heddle-controller")["containers"][0]["args"]
    rules = find(asked, "ClusterRole", "heddle-controller-startup-taint")["rules"]
    assert rules == [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "patch"]}]
    # Of nodes that still have it the uninstall takes it off, and then only.
    assert not any(o["metadata"]["name"] == "heddle-removal-startup-taint" for o in plain)
    commands = {o["metadata"]["name"]: o["spec"]["template"]["spec"]["containers"][0]["command"]
                for made in (plain, asked) for o in made if o["kind"] == "Job"}
    assert "--startup-taint" in commands["heddle-removal-finish"]
    assert "--startup-taint" not in commands["heddle-removal-prepare"]


def test_there_are_two_controllers_that_are_probed_and_bounded(cluster):
    deployment = find(template(cluster), "Deployment", "heddle-controller")["spec"]
    assert deployment["replicas"] == 2
    # Never fewer than there should be, also while they are replaced.
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    spec = deployment["template"]["spec"]
    container, = spec["containers"]
    port = {each["name"]: each["containerPort"] for each in container["ports"]}["http-debug"]
    assert port == 15014
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"]["port"] == "http-debug", probe
    assert container["readinessProbe"]["httpGet"]["path"] == "/healthz/ready"
    # A controller that cannot reach the API server is not ready, and lives.
    assert container["livenessProbe"]["httpGet"]["path"] != "/healthz/ready"
    assert set(container["resources"]["requests"]) == {"cpu", "memory"} and "memory" in container["resources"]["limits"]
    # Long enough to give the Lease back and to end its streams.
    assert spec["terminationGracePeriodSeconds"] >= 30
    assert spec["priorityClassName"] == "system-cluster-critical"
    preferred, = spec["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"]
    assert preferred["podAffinityTerm"]["topologyKey"] == "kubernetes.io/hostname"


def test_an_agent_is_probed_has_time_to_drain_and_sees_what_is_mounted_later(cluster):
    spec = pod_spec(template(cluster), "DaemonSet", "heddle-agent")
    container, = spec["containers"]
    assert container["readinessProbe"]["exec"]["command"] == ["/usr/bin/heddlectl", "--run-dir=/run/heddle", "ready"]
    # No liveness probe: an agent that hangs ends itself, and pods of one that is slow must not lose their connections.
    assert not {"livenessProbe", "startupProbe"} & set(container)
    assert set(container["resources"]["requests"]) == {"cpu", "memory"}
    drain = re.search(r"drain_timeout = absl::Seconds\((\d+)\)", (ROOT / "agent/proxy/limits.h").read_text())[1]
    assert spec["terminationGracePeriodSeconds"] > int(drain)
    propagation = {mount["mountPath"]: mount["mountPropagation"] for mount in container["volumeMounts"]
                   if "mountPropagation" in mount}
    assert propagation == {"/run/netns": "HostToContainer"}
    assert spec["hostNetwork"] and spec["hostPID"]


def test_no_account_mounts_a_token_by_itself_but_the_uninstalls_pod(cluster):
    objects = template(cluster, "agent.startupTaint.enabled=true")
    assert all(o["automountServiceAccountToken"] is False for o in objects if o["kind"] == "ServiceAccount")
    mounting = {o["metadata"]["name"] for o in objects if o["kind"] in ("Deployment", "DaemonSet", "Job") and
                o["spec"]["template"]["spec"]["automountServiceAccountToken"] is not False}
    assert mounting == {"heddle-removal-prepare", "heddle-removal-finish"}


def test_several_controllers_have_a_disruption_budget_and_one_has_none(cluster):
    budget = find(template(cluster), "PodDisruptionBudget", "heddle-controller")["spec"]
    assert budget == {"selector": {"matchLabels": {"app": "heddle-controller"}}, "maxUnavailable": 1}
    objects = template(cluster, "controller.replicas=1")
    assert not any(o["kind"] == "PodDisruptionBudget" for o in objects)


def kinds_that_the_controller_reads():
    """{(group, resource)} as controlplane/sources/watched_kinds.cc has them."""
    source = (ROOT / "controlplane/sources/watched_kinds.cc").read_text()
    read = {(match[1].rstrip("/"), match[2])
            for match in re.finditer(r'"/apis?/((?:[\w.]+/)?)v\w+/(\w+)"', source)}
    read |= set(re.findall(r'Paths\(\s*"([\w.]+)",\s*"(\w+)"', source))
    for call, group in (("networking", "networking.istio.io"), ("gateway", "gateway.networking.k8s.io")):
        read |= {(group, resource) for resource in re.findall(rf'\b{call}\("(\w+)"\)', source)}
    rows = re.findall(r'^      \{(?:Kind::|")', source, re.MULTILINE)
    assert len(read) == len(rows), "the file is written in another way than this test reads"
    return read


def test_the_controller_may_list_and_watch_what_it_reads_and_nothing_else(cluster):
    read = kinds_that_the_controller_reads()
    rules = find(template(cluster), "ClusterRole", "heddle-controller")["rules"]
    asked, = (rule for rule in rules if "create" in rule["verbs"])
    assert asked == {"apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"]}
    rules.remove(asked)
    granted = {(group, name) for rule in rules for group in rule["apiGroups"] for name in rule["resources"]}
    assert granted == read
    assert {verb for rule in rules for verb in rule["verbs"]} == {"list", "watch"}
    bound = {o["roleRef"]["name"] for o in template(cluster) if o["kind"] in ("ClusterRoleBinding", "RoleBinding")}
    assert bound == {"heddle-controller", "heddle-controller-status", "heddle-removal"}


def test_the_controller_may_write_status_and_events_and_nothing_else_of_a_cluster(cluster):
    rules = find(template(cluster), "ClusterRole", "heddle-controller-status")["rules"]
    granted = {name: tuple(rule["verbs"]) for rule in rules for name in rule["resources"]}
    assert granted.pop("events") == ("create", "patch")
    assert set(granted.values()) == {("patch",)} and all(name.endswith("/status") for name in granted)


def test_the_uninstall_may_ask_for_the_removal_see_its_pods_and_nothing_else(cluster):
    objects = template(cluster)
    assert find(objects, "Role", "heddle-removal")["rules"] == [
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["heddle-removal"],
         "verbs": ["get", "delete"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["deletecollection"]},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "resourceNames": ["heddle-controller"],
         "verbs": ["delete"]}]
    jobs = [o["metadata"] for o in objects if o["kind"] == "Job"]
    hooks = {job["name"]: job["annotations"]["helm.sh/hook"] for job in jobs}
    assert hooks == {"heddle-removal-prepare": "pre-delete", "heddle-removal-finish": "post-delete"}


def test_a_removal_that_is_left_over_is_no_base_for_an_install(cluster):
    """Its agents would let go at once, and be ready."""
    cluster.kubectl("create", "configmap", "heddle-removal", f"--namespace={NAMESPACE}", "--from-literal=phase=gone")
    try:
        with pytest.raises(CommandFailed, match="heddlectl uninstall --cancel"):
            cluster.helm("install", "heddle", CHART, f"--namespace={NAMESPACE}")
    finally:
        cluster.kubectl("delete", "configmap", "heddle-removal", f"--namespace={NAMESPACE}")
    assert cluster.find("daemonset", "heddle-agent", NAMESPACE) is None


@contextlib.contextmanager
def installed(cluster, *values):
    cluster.helm("install", "heddle", CHART, f"--namespace={NAMESPACE}", *(f"--set={v}" for v in values))
    try:
        yield
    finally:
        # Hooks are Jobs, and nothing runs them here: tests/deploy/test_removal.py.
        cluster.helm("uninstall", "heddle", "--no-hooks", f"--namespace={NAMESPACE}")


def test_the_controllers_account_may_not_read_what_it_could_never_need(cluster):
    """That it may do what it needs, and that alone, is tests/kube/test_rights.py."""
    with installed(cluster):
        may = ("auth", "can-i", f"--as={ACCOUNT}", "--all-namespaces")
        assert cluster.kubectl(*may, "watch", "pods").strip() == "yes"
        assert cluster.kubectl(*may, "create", "tokenreviews").strip() == "yes"
        secret = ("auth", "can-i", f"--as={ACCOUNT}", f"--namespace={NAMESPACE}", "update")
        assert cluster.kubectl(*secret, "secrets/heddle-ca").strip() == "yes"
        assert cluster.kubectl(*secret, "secrets/another", check=False).strip() == "no"
        for verb, resource in (("get", "secrets"), ("list", "secrets"), ("delete", "pods"), ("patch", "nodes"),
                               ("list", "configmaps"), ("get", "pods")):
            assert cluster.kubectl(*may, verb, resource, check=False).strip() == "no", (verb, resource)


def test_the_release_goes_and_leaves_its_kinds_and_with_them_policies(cluster):
    with installed(cluster):
        cluster.kubectl("wait", "--for=condition=Established", "crd/interceptionpolicies.heddle.io")
        cluster.helm("upgrade", "heddle", CHART, f"--namespace={NAMESPACE}", "--set=log.level=debug")
        assert "--log-level=debug" in cluster.kubectl("get", "deployment", "heddle-controller", "--output=yaml",
                                                      f"--namespace={NAMESPACE}")
        cluster.helm("rollback", "heddle", "1", f"--namespace={NAMESPACE}")
        assert "--log-level=info" in cluster.kubectl("get", "deployment", "heddle-controller", "--output=yaml",
                                                     f"--namespace={NAMESPACE}")
    left = cluster.kubectl("get", "crd,clusterrole,clusterrolebinding", "--output=name",
                           "--selector=app.kubernetes.io/part-of=heddle").split()
    assert left == ["customresourcedefinition.apiextensions.k8s.io/interceptionpolicies.heddle.io"]
    assert cluster.find("deployment", "heddle-controller", NAMESPACE) is None
