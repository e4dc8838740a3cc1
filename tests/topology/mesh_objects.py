"""Kubernetes and Istio objects as dicts, with what the suites and the demo vary."""


def _object(api_version, kind, name, namespace=None, labels=None, **rest):
    metadata = {"name": name}
    if namespace is not None:
        metadata["namespace"] = namespace
    if labels:
        metadata["labels"] = labels
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **rest}


def namespace(name, enrolled):
    return _object("v1", "Namespace", name, labels={"istio.io/dataplane-mode": "ambient"} if enrolled else None)


def node(name, address):
    return _object("v1", "Node", name, status={"addresses": [{"type": "InternalIP", "address": address}]})


def config_map(name, in_namespace, data):
    return _object("v1", "ConfigMap", name, in_namespace, data={key: str(value) for key, value in data.items()})


def service_account(name, in_namespace):
    return _object("v1", "ServiceAccount", name, in_namespace)


def service(name, in_namespace, cluster_ip, selector, port=80, target_port=8080):
    return _object("v1", "Service", name, in_namespace,
                   spec={"clusterIP": cluster_ip, "clusterIPs": [cluster_ip], "selector": selector,
                         "ports": [{"name": "http", "port": port, "targetPort": target_port, "protocol": "TCP"}]})


def endpoint_slice(of_service, in_namespace, pods, target_port=8080):
    """What the endpoints controller would write for these pods (topology.Pod)."""
    return _object("discovery.k8s.io/v1", "EndpointSlice", f"{of_service}-1", in_namespace,
                   labels={"kubernetes.io/service-name": of_service},
                   addressType=f"IPv{pods[0].address().version}",
                   ports=[{"name": "http", "port": target_port, "protocol": "TCP"}],
                   endpoints=[{"addresses": [str(pod.address())], "conditions": {"ready": True},
                               "nodeName": pod.node.name,
                               "targetRef": {"kind": "Pod", "name": pod.name, "namespace": in_namespace,
                                             "uid": pod.spec.uid}} for pod in pods])


def peer_authentication(name, in_namespace, mode, selector=None):
    spec = {"mtls": {"mode": mode}}
    if selector:
        spec["selector"] = {"matchLabels": selector}
    return _object("security.istio.io/v1", "PeerAuthentication", name, in_namespace, spec=spec)


def authorization_policy(name, in_namespace, action, selector, principals):
    return _object("security.istio.io/v1", "AuthorizationPolicy", name, in_namespace,
                   spec={"action": action, "selector": {"matchLabels": selector},
                         "rules": [{"from": [{"source": {"principals": principals}}]}]})


def interception_policy(name, in_namespace, selector, **spec):
    return _object("heddle.io/v1alpha1", "InterceptionPolicy", name, in_namespace,
                   spec={"selector": {"matchLabels": selector}, **spec})
