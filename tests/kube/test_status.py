"""What controllers write about policies and pods on a real API server, with Istio's own definitions of its kinds."""

import json
import pathlib
import time

import pytest
import yaml
from kube import istio
from kube.cluster import Cluster
from kube.controllers import NAMESPACE, Controller, get
from topology.waiting import wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERIES = 'heddle_controller_status_writes_total{{result="{}"}}'
MANY = 1000


def apply(cluster, objects, timeout=60):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects), timeout=timeout)


def policy(name, spec, labels=None):
    return {"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy",
            "metadata": {"name": name, "namespace": "shop", "labels": labels or {}}, "spec": spec}


GOOD = {"selector": {"matchLabels": {"app": "web"}}, "rules": [{"from": [{"source": {"namespaces": ["shop"]}}]}]}
REFUSED = {"action": "DENY", "rules": [{"to": [{"operation": {"ports": ["no port"]}}]}]}


def pod(name):
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": "shop", "labels": {"app": "web"}},
            "spec": {"nodeName": "n1", "serviceAccountName": "web", "automountServiceAccountToken": False,
                     "containers": [{"name": "c", "image": "none:1"}]}}


def start_pod(cluster, name, ip):
    """The pod's uid."""
    apply(cluster, [pod(name)])
    status = {"status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}],
                         "conditions": [{"type": "Ready", "status": "True"}]}}
    cluster.kubectl("patch", "pod", name, "--namespace=shop", "--subresource=status", "--type=merge",
                    f"--patch={json.dumps(status)}")
    return get(cluster, "pod", name, "shop")["metadata"]["uid"]


def report(captured, problems):
    """As written by a controller that the node reports to."""
    return {"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "heddle-captured-n1", "namespace": NAMESPACE,
                         "labels": {"heddle.io/capture-report": "true"}},
            "data": {"node": "n1", "heardBy": "elsewhere",
                     "report": json.dumps({"captured": captured, "problems": problems})}}


def conditions(cluster, kind, name):
    found = get(cluster, kind, name, "shop").get("status", {}).get("conditions", [])
    return {one["type"]: one for one in found}


def says(cluster, kind, name, condition):
    one = conditions(cluster, kind, name).get(condition)
    return one and (one["status"], one["reason"], one.get("message", ""))


def events(cluster, name):
    made = json.loads(cluster.kubectl("get", "events.events.k8s.io", "--namespace=shop", "--output=json"))["items"]
    return [(one["type"], one["reason"], one["note"]) for one in made if one["regarding"]["name"] == name]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        istio.install(made, "AuthorizationPolicy", "PeerAuthentication")
        made.kubectl("apply", f"--filename={ROOT / 'deploy/crds'}")
        made.kubectl("wait", "--for=condition=Established", "crd", "--all")
        apply(made, [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
                     {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}},
                     {"apiVersion": "v1", "kind": "Namespace",
                      "metadata": {"name": "shop", "labels": {"istio.io/dataplane-mode": "ambient"}}},
                     {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "web", "namespace": "shop"}}])
        yield made


@pytest.fixture(scope="module")
def controller(cluster):
    start_pod(cluster, "web-1", "10.9.0.1")
    made = Controller(cluster, "heddle-controller-a", 20000).wait_ready()
    made.wait_for(made.leads, "it leads")
    return made


def test_a_good_policy_is_accepted_and_says_how_many_workloads_it_is_bound_to(cluster, controller):
    apply(cluster, [policy("good", GOOD)])
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "good", "Accepted") ==
                        ("True", "Accepted", "in effect"), "it is accepted")
    assert says(cluster, "authorizationpolicy", "good", "heddle.io/Bound") == ("True", "Bound", "bound to 1 workload")
    assert conditions(cluster, "authorizationpolicy", "good")["Accepted"]["observedGeneration"] in (1, "1")
    start_pod(cluster, "web-2", "10.9.0.2")
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "good", "heddle.io/Bound")[2] ==
                        "bound to 2 workloads", "the other pod is counted")
    assert events(cluster, "good") == []


def test_a_refused_policy_says_why_and_what_is_in_effect_until_it_is_corrected(cluster, controller):
    apply(cluster, [policy("wrong", REFUSED)])
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "wrong", "Accepted"), "something is said")
    status, reason, message = says(cluster, "authorizationpolicy", "wrong", "Accepted")
    assert (status, reason) == ("False", "Invalid")
    assert "is not a port" in message and "everything it selects is denied" in message
    controller.wait_for(lambda: [one[:2] for one in events(cluster, "wrong")] == [("Warning", "Invalid")], "an event")
    refused_at = conditions(cluster, "authorizationpolicy", "wrong")["Accepted"]["lastTransitionTime"]
    time.sleep(1.1)  # The next transition is in another second, or its time would be the same.
    apply(cluster, [policy("wrong", GOOD)])
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "wrong", "Accepted")[0] == "True", "corrected")
    now = conditions(cluster, "authorizationpolicy", "wrong")["Accepted"]
    assert now["lastTransitionTime"] > refused_at and now["observedGeneration"] in (2, "2")
    controller.wait_for(lambda: ("Normal", "Accepted", "in effect") in events(cluster, "wrong"), "an event")
    # Wrong again: the last good version stays, which is said.
    apply(cluster, [policy("wrong", REFUSED)])
    controller.wait_for(lambda: "the last good version stays in effect" in
                        says(cluster, "authorizationpolicy", "wrong", "Accepted")[2], "it is said")


def test_our_own_kind_shows_it_as_a_column(cluster, controller):
    apply(cluster, [{"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy",
                     "metadata": {"name": "mysql", "namespace": "shop"}, "spec": {"excludedOutboundPorts": [3306]}}])
    controller.wait_for(lambda: says(cluster, "interceptionpolicy", "mysql", "Accepted"), "something is said")
    header, row = cluster.kubectl("get", "interceptionpolicies", "--namespace=shop", "--output=wide").splitlines()
    assert "ACCEPTED" in header and " True " in row


def test_another_managers_conditions_are_left_alone(cluster, controller):
    conflicts = controller.metric(SERIES.format("conflict")) or 0
    theirs = [{"type": "Reconciled", "status": "True"}]
    apply(cluster, [policy("shared", GOOD)])
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "shared", "Accepted"), "ours is there")
    patch = json.dumps({"status": {"conditions": theirs}})
    cluster.kubectl("patch", "authorizationpolicy", "shared", "--namespace=shop", "--subresource=status",
                    "--type=merge", "--field-manager=istiod", f"--patch={patch}")
    controller.wait_for(lambda: (controller.metric(SERIES.format("conflict")) or 0) > conflicts, "it is noticed")
    # What becomes of it is told all the same, and theirs stays.
    apply(cluster, [policy("shared", REFUSED)])
    controller.wait_for(lambda: ("Warning", "Invalid") in [one[:2] for one in events(cluster, "shared")], "an event")
    assert conditions(cluster, "authorizationpolicy", "shared") == {"Reconciled": theirs[0]}


def managers(cluster, kind, name, namespace):
    """{(manager, operation, subresource)} of an object."""
    found = json.loads(cluster.kubectl("get", kind, name, f"--namespace={namespace}", "--show-managed-fields",
                                       "--output=json"))
    fields = found["metadata"]["managedFields"]
    return {(one["manager"], one["operation"], one.get("subresource", "")) for one in fields}


def test_what_it_writes_is_under_its_own_name(cluster, controller):
    ours = "heddle-controller"
    for kind, name in (("authorizationpolicy", "good"), ("interceptionpolicy", "mysql")):
        assert (ours, "Apply", "status") in managers(cluster, kind, name, "shop")
        assert {one for one in managers(cluster, kind, name, "shop") if one[0] == ours} == {(ours, "Apply", "status")}
    assert (ours, "Apply", "") in managers(cluster, "configmap", "heddle-root", NAMESPACE)
    assert (ours, "Update", "") in managers(cluster, "secret", "heddle-ca", NAMESPACE)


def test_another_manager_that_writes_all_the_time_is_not_fought(cluster, controller):
    def tries():
        return sum(controller.metric(SERIES.format(result)) or 0 for result in ("written", "conflict", "failed"))

    apply(cluster, [policy("fought", GOOD)])
    controller.wait_for(lambda: says(cluster, "authorizationpolicy", "fought", "Accepted"), "ours is there")
    controller.wait_for(lambda: controller.get("/debug/leader")["statusWaiting"] == 0, "nothing waits")
    before = tries()
    for number in range(20):
        theirs = [{"type": "Reconciled", "status": "True", "message": f"for the {number}th time"}]
        cluster.kubectl("patch", "authorizationpolicy", "fought", "--namespace=shop", "--subresource=status",
                        "--type=merge", "--field-manager=istiod",
                        f"--patch={json.dumps({'status': {'conditions': theirs}})}")
    # Once it asks whether the field is its own, and then no more than after ever longer times.
    assert tries() - before <= 6
    assert set(conditions(cluster, "authorizationpolicy", "fought")) == {"Reconciled"}


def test_pods_say_whether_they_are_captured(cluster, controller):
    uid = start_pod(cluster, "web-3", "10.9.0.3")
    apply(cluster, [report([uid], {})])
    controller.wait_for(lambda: says(cluster, "pod", "web-3", "heddle.io/captured") == ("True", "Captured", ""),
                        "it is captured")
    assert conditions(cluster, "pod", "web-3")["Ready"]["status"] == "True"
    apply(cluster, [report([], {uid: "no process of it was found"})])
    controller.wait_for(lambda: says(cluster, "pod", "web-3", "heddle.io/captured") ==
                        ("False", "NotCaptured", "no process of it was found"), "it is not")
    controller.wait_for(lambda: ("Warning", "NotCaptured", "no process of it was found") in events(cluster, "web-3"),
                        "an event")
    # Those of which no agent says anything, after a while.
    controller.wait_for(lambda: (says(cluster, "pod", "web-1", "heddle.io/captured") or ["", ""])[1] == "NotReported",
                        "nobody has reported it", 60)
    assert controller.metric("heddle_pods_not_captured") == 3
    apply(cluster, [report([uid], {})])
    controller.wait_for(lambda: says(cluster, "pod", "web-3", "heddle.io/captured")[0] == "True", "it is again")
    cluster.kubectl("label", "pod", "web-3", "--namespace=shop", "istio.io/dataplane-mode=none")
    controller.wait_for(lambda: "heddle.io/captured" not in conditions(cluster, "pod", "web-3"), "it is taken away")
    assert "Ready" in conditions(cluster, "pod", "web-3")


def test_a_thousand_policies_are_written_once_and_by_nobody_again(cluster, controller):
    written = controller.metric(SERIES.format("written"))
    began = time.monotonic()
    apply(cluster, [policy(f"many-{i}", GOOD) for i in range(MANY)], timeout=300)
    controller.wait_for(lambda: controller.metric(SERIES.format("written")) >= written + MANY and
                        controller.get("/debug/leader")["statusWaiting"] == 0, "all are written", 300)
    # Ten a second after fifty, and not what a machine could do.
    assert time.monotonic() - began >= (MANY - 50) / 10
    assert controller.metric(SERIES.format("written")) <= written + MANY + 20
    # The next leader finds what is there.
    other = Controller(cluster, "heddle-controller-b", 20010).wait_ready()
    assert controller.process.stop() == 0
    other.wait_for(other.leads, "the other leads", 10)
    # It writes what is new, and that alone.
    apply(cluster, [policy("last", GOOD)])
    other.wait_for(lambda: says(cluster, "authorizationpolicy", "last", "Accepted"), "it writes")
    wait_until(lambda: other.get("/debug/leader")["statusWaiting"] == 0, "nothing waits", 20)
    assert other.metric(SERIES.format("written")) <= 5
    assert other.process.stop() == 0
