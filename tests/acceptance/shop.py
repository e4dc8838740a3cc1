"""The namespace that most tests use, and people who play."""

from .namespace import ECHOD, HTTPD, Namespace, container, pod_spec, service, workload

IDLE = container(["sh", "-c", "trap 'exit 0' TERM; sleep 2147483647 & wait"])


def open_shop(release, watch=None):
    """Two Deployments, `web` and `client`, with a pod on each node, and a DaemonSet `every`; in the mesh."""
    shop = Namespace(release, "shop", watch=watch)
    shop.apply(*({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name}}
                 for name in ("web", "client", "every")),
               workload("Deployment", "web", pod_spec([HTTPD, ECHOD], serviceAccountName="web"), 2),
               workload("Deployment", "client", pod_spec([IDLE], serviceAccountName="client"), 2),
               workload("DaemonSet", "every", pod_spec([HTTPD], serviceAccountName="every")),
               service("web", "web"), service("web-headless", "web", headless=True), service("every", "every"))
    for name in ("deployment/web", "deployment/client", "daemonset/every"):
        shop.rolled_out(name)
    return shop
