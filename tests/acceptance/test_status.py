"""What controllers write about pods and policies, as the service account that the chart gives them, from what real
agents report of their kernels."""

import json

import pytest
from acceptance.namespace import HTTPD, Namespace, container, pod, pod_spec
from acceptance.release import image_script
from topology.waiting import wait_until

CAPTURED = "heddle.io/captured"
# Good for the ValidatingAdmissionPolicy, which cannot judge leading zeros, and no block for the controller.
NO_BLOCK = "10.0.0/08"
PORT_OF_THE_MESH = 15001


def policy(kind, name, spec):
    group = "heddle.io/v1alpha1" if kind == "InterceptionPolicy" else "security.istio.io/v1"
    return {"apiVersion": group, "kind": kind, "metadata": {"name": name}, "spec": spec}


def says(namespace, kind, name, condition):
    """(status, reason, message) of a condition; None when the object has none of that type."""
    status = namespace.cluster.find(kind, name, namespace.name).get("status", {})
    found = [one for one in status.get("conditions", ()) if one["type"] == condition]
    return (found[0]["status"], found[0].get("reason", ""), found[0].get("message", "")) if found else None


def warnings(namespace, name):
    """[(reason, note, who says so)] about an object."""
    listed = json.loads(namespace.kubectl("get", "events.events.k8s.io", "--output=json"))["items"]
    return [(one["reason"], one["note"], one["reportingController"]) for one in listed
            if one["regarding"]["name"] == name and one["type"] == "Warning"]


@pytest.fixture(scope="module")
def labelled(cluster, release):
    """A namespace that is not in the mesh yet, with a pod that runs on each node."""
    made = Namespace(release, "labelled", enrolled=False)
    names = [f"on-{node.name}" for node in cluster.nodes]
    made.apply(*(pod(name, pod_spec([HTTPD], node=name[3:]), {"app": "web"}) for name in names))
    made.ready(*names)
    yield made
    made.remove()


def test_pods_of_a_labelled_namespace_say_that_they_are_captured_and_no_more_when_it_is_not(cluster, release, labelled):
    names = [f"on-{node.name}" for node in cluster.nodes]
    assert [says(labelled, "pod", name, CAPTURED) for name in names] == [None, None]
    labelled.label(True)
    for node, name in zip(cluster.nodes, names):
        wait_until(lambda: says(labelled, "pod", name, CAPTURED) == ("True", "Captured", ""), "it is captured", 30, 0.5)
        assert f"labelled/{name}" in release.captured(node)
        assert says(labelled, "pod", name, "Ready")[0] == "True"  # kubelet's own conditions are as they were.
    labelled.label(False)
    for node, name in zip(cluster.nodes, names):
        wait_until(lambda: says(labelled, "pod", name, CAPTURED) is None, "nothing is said of it", 60, 0.5)
        wait_until(lambda: f"labelled/{name}" not in release.captured(node), "it is released", 60, 0.5)


def test_a_pod_that_cannot_be_captured_says_why_though_it_is_labelled(cluster, labelled):
    taken = {**container(["nc", "-ll", "-p", str(PORT_OF_THE_MESH), "-e", "cat"])}
    labelled.apply(pod("taken", pod_spec([taken], node="node1")))
    labelled.ready("taken")
    labelled.kubectl("label", "pod", "taken", "istio.io/dataplane-mode=ambient")
    wait_until(lambda: (says(labelled, "pod", "taken", CAPTURED) or [""])[0] == "False", "it is not captured", 60, 0.5)
    status, reason, message = says(labelled, "pod", "taken", CAPTURED)
    assert reason == "NotCaptured" and f"port {PORT_OF_THE_MESH} is taken inside the pod" in message
    wait_until(lambda: ("NotCaptured", message, "heddle.io/controller") in warnings(labelled, "taken"), "an event", 30)
    labelled.delete("pod", "taken")


def test_policies_say_for_how_many_workloads_they_are_in_effect(labelled):
    labelled.label(True)
    labelled.apply(policy("AuthorizationPolicy", "good", {"selector": {"matchLabels": {"app": "web"}}, "rules": [{}]}),
                   policy("PeerAuthentication", "good", {"mtls": {"mode": "PERMISSIVE"}}),
                   policy("InterceptionPolicy", "good", {"excludedOutboundPorts": [3306]}))
    for kind in ("authorizationpolicy", "peerauthentication", "interceptionpolicy"):
        wait_until(lambda: says(labelled, kind, "good", "heddle.io/Bound") ==
                   ("True", "Bound", "bound to 2 workloads"), f"{kind} is bound", 30, 0.5)
        assert says(labelled, kind, "good", "Accepted")[:2] == ("True", "Accepted")
        assert warnings(labelled, "good") == []


def test_a_policy_that_the_controller_refuses_says_so_with_the_reason_of_the_admission_policy(cluster, labelled):
    source = {"source": {"ipBlocks": [NO_BLOCK]}}
    labelled.apply(policy("AuthorizationPolicy", "wrong", {"action": "DENY", "rules": [{"from": [source]}],
                                                           "selector": {"matchLabels": {"app": "nobody"}}}))
    wait_until(lambda: says(labelled, "authorizationpolicy", "wrong", "Accepted"), "something is said", 30, 0.5)
    status, reason, message = says(labelled, "authorizationpolicy", "wrong", "Accepted")
    assert status == "False" and "is not an IP address or CIDR block" in message
    wait_until(lambda: [one[0] for one in warnings(labelled, "wrong")] == [reason], "an event", 30)
    admission = cluster.find("validatingadmissionpolicy", "heddle-authorization-policies")
    assert {rule["reason"] for rule in admission["spec"]["validations"]} == {reason}


def test_the_api_server_has_nothing_against_the_types_of_the_admission_policies(cluster):
    """Of the controller-manager, which looks at the expressions with the kinds' own schemas."""
    def checked(name):
        return cluster.find("validatingadmissionpolicy", name).get("status", {}).get("typeChecking")

    for name in ("heddle-authorization-policies", "heddle-peer-authentications"):
        wait_until(lambda: checked(name) is not None, f"{name} has been looked at", 60, 0.5)
        assert checked(name).get("expressionWarnings", []) == []


def test_controllers_say_which_version_the_agents_of_nodes_have(cluster, release):
    addresses = [each["status"]["podIP"] for each in release.pods("heddle-controller")]
    said = [cluster.control.run(["curl", "-fsS", "-m", "5", f"http://{address}:15014/debug/nodes"]).stdout
            for address in addresses]
    versions = {node["node"]: node["agentVersion"] for text in said for node in json.loads(text) if node["connected"]}
    assert versions == {node.name: image_script.version() for node in cluster.nodes}


def unwritten(cluster):
    log = cluster.kubectl("logs", "--namespace=heddle-system", "--selector=app=heddle-controller", "--tail=-1")
    return [line for line in log.splitlines() if "unwritten" in line]


def test_no_write_of_a_controller_was_refused(cluster, release):
    def failures(address):
        said = cluster.control.run(["curl", "-fsS", "-m", "5", f"http://{address}:15014/metrics"]).stdout
        return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in said.splitlines()
                if line.startswith(("heddle_controller_status_writes_total", "heddle_controller_events_total"))}

    counts = [failures(each["status"]["podIP"]) for each in release.pods("heddle-controller")]
    assert len(counts) == 2 and sum(sum(one.values()) for one in counts) > 0
    refused = [name for one in counts for name, count in one.items() if count and 'result="failed"' in name]
    assert refused == [], unwritten(cluster)


def test_in_all_that_this_run_did_nobody_needed_a_right_that_the_chart_does_not_give(cluster, release):
    assert cluster.audit.refused() == []
    assert cluster.audit.accounts() == {"heddle-controller"}  # An agent asks the API server nothing.
