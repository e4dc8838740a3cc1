"""Names inside pods: CoreDNS as clusters have it, a Deployment behind the Service that kubelets tell pods of."""

import yaml

from .images import BUSYBOX
from .node_config import CLUSTER_DNS, CLUSTER_DOMAIN

SECONDS = 120
REPLICAS_MAX = 2
_NAMESPACE = "kube-system"
_NAME = "coredns"
_PORT = 53
# Nothing is forwarded: other names than the cluster's are refused at once.
_COREFILE = f""".:{_PORT} {{
    errors
    health
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
    }}
}}
"""


def start(cluster, replicas):
    """Each on a node of its own. Returns before they serve: see wait_ready()."""
    objects = _objects(cluster.programs, replicas)
    cluster.kubectl("apply", "--server-side", "--filename=-", input=yaml.safe_dump_all(objects))


def wait_ready(cluster):
    cluster.kubectl("rollout", "status", f"deployment/{_NAME}", f"--namespace={_NAMESPACE}", f"--timeout={SECONDS}s",
                    timeout=SECONDS + 9)


def _objects(programs, replicas):
    def of(api, kind, name, **more):
        scope = {} if kind.startswith("Cluster") else {"namespace": _NAMESPACE}
        return {"apiVersion": api, "kind": kind, "metadata": {"name": name, **scope}, **more}

    rbac = "rbac.authorization.k8s.io"
    ports = [{"name": f"dns-{protocol.lower()}", "port": _PORT, "protocol": protocol} for protocol in ("UDP", "TCP")]
    return [
        of("v1", "ServiceAccount", _NAME),
        of(f"{rbac}/v1", "ClusterRole", f"system:{_NAME}", rules=[
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]}]),
        of(f"{rbac}/v1", "ClusterRoleBinding", f"system:{_NAME}",
           roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": f"system:{_NAME}"},
           subjects=[{"kind": "ServiceAccount", "name": _NAME, "namespace": _NAMESPACE}]),
        of("v1", "ConfigMap", _NAME, data={"Corefile": _COREFILE}),
        of("v1", "Service", "kube-dns", spec={"clusterIP": CLUSTER_DNS, "selector": {"k8s-app": "kube-dns"},
                                              "ports": ports}),
        of("apps/v1", "Deployment", _NAME, spec={
            "replicas": replicas, "selector": {"matchLabels": {"k8s-app": "kube-dns"}},
            "template": {"metadata": {"labels": {"k8s-app": "kube-dns"}}, "spec": _pod(programs)}}),
    ]


def _pod(programs):
    """The program is not in an image but mounted from where it was built: 50 MB that no node needs to import."""
    return {
        "serviceAccountName": _NAME, "dnsPolicy": "Default", "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 5,
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [
            {"topologyKey": "kubernetes.io/hostname", "labelSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}]}},
        "containers": [{
            "name": _NAME, "image": BUSYBOX, "command": ["/program/coredns", "-conf", "/etc/coredns/Corefile"],
            "readinessProbe": {"httpGet": {"path": "/ready", "port": 8181}, "periodSeconds": 1},
            "livenessProbe": {"httpGet": {"path": "/health", "port": 8080}, "failureThreshold": 5},
            "securityContext": {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                "capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}},
            "volumeMounts": [{"name": "program", "mountPath": "/program", "readOnly": True},
                             {"name": "config", "mountPath": "/etc/coredns", "readOnly": True}]}],
        "volumes": [{"name": "program", "hostPath": {"path": str(programs.coredns().parent), "type": "Directory"}},
                    {"name": "config", "configMap": {"name": _NAME}}]}
