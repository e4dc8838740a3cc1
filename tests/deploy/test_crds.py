"""Our kinds on a real API server: it accepts what the controller accepts, and refuses the rest in the same words."""

import json

import pytest
import yaml
from conftest import ROOT
from kube.cluster import Cluster
from topology import CommandFailed, wait_until

TABLE = ROOT / "controlplane/api/testdata/interception_policies.yaml"
ENTRIES_MAX = 1024  # kMaxExclusions
LONG_CIDR = "2001:db8:1234:5678:9abc:def0:1234:5678/128"


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        made.kubectl("apply", f"--filename={ROOT / 'deploy/crds'}")
        made.kubectl("wait", "--for=condition=Established", "crd", "--all")
        # Clients find the kind a moment after that.
        served = ("api-resources", "--api-group=heddle.io")
        wait_until(lambda: "InterceptionPolicy" in made.kubectl(*served), "the kind is served", 30)
        yield made


def policy(spec):
    return json.dumps({"apiVersion": "heddle.io/v1alpha1", "kind": "InterceptionPolicy",
                       "metadata": {"name": "policy", "namespace": "default"}, "spec": spec})


def refusal(cluster, spec):
    """What the API server says against it; empty if it would take it."""
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-", input=policy(spec))
    except CommandFailed as failed:
        return str(failed)
    return ""


@pytest.mark.parametrize("case", yaml.safe_load(TABLE.read_text()), ids=lambda case: case["spec"])
def test_the_api_server_judges_as_the_controller_does(cluster, case):
    said = refusal(cluster, yaml.safe_load(case["spec"]))
    api = case.get("api", "")
    if "refused" in case:
        assert (api or case["refused"]) in said
    elif api == "stricter":
        assert "InterceptionPolicy" in said or "unknown field" in said
    else:
        assert said == ""


@pytest.mark.parametrize("field, entry", [("excludedInboundPorts", 80), ("excludedOutboundPorts", 80),
                                          ("excludedInboundCidrs", LONG_CIDR), ("excludedOutboundCidrs", LONG_CIDR)])
def test_a_list_takes_as_many_entries_as_a_node_and_no_more(cluster, field, entry):
    assert refusal(cluster, {field: [entry] * ENTRIES_MAX}) == ""
    assert f"must have at most {ENTRIES_MAX} items" in refusal(cluster, {field: [entry] * (ENTRIES_MAX + 1)})


def test_columns_say_what_is_excluded_and_status_is_written_apart(cluster):
    cluster.kubectl("apply", "--filename=-", input=policy({"excludedOutboundPorts": [3306], "failMode": "Open"}))
    condition = {"type": "Accepted", "status": "True", "reason": "Accepted", "message": "bound to 3 workloads",
                 "lastTransitionTime": "2026-01-31T12:00:00Z"}
    patch = json.dumps({"status": {"conditions": [condition]}, "spec": {"failMode": "Closed"}})
    cluster.kubectl("patch", "interceptionpolicy/policy", "--subresource=status", "--type=merge", f"--patch={patch}")
    header, row = cluster.kubectl("get", "interceptionpolicies", "--output=wide").splitlines()
    assert header.split() == ["NAME", "INBOUND", "OUTBOUND", "SOURCES", "CIDRS", "FAIL", "MODE", "ACCEPTED", "AGE"]
    assert row.split()[:-1] == ["policy", "[3306]", "Open", "True"]  # The writer of status changed nothing else.
    assert "Closed (default)" in cluster.kubectl("explain", "interceptionpolicy.spec.failMode")
