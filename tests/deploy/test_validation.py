"""The chart's ValidatingAdmissionPolicies on a real API server with Istio's own definitions: what they refuse is
what the controller refuses, in the same words, over one table."""

import json

import pytest
import yaml
from conftest import ROOT
from kube import istio
from kube.cluster import Cluster
from topology import CommandFailed, wait_until

CHART = ROOT / "deploy/helm/heddle"
TABLE = ROOT / "controlplane/api/testdata/security_policies.yaml"
CASES = yaml.safe_load(TABLE.read_text())
REFUSED = "{action: CUSTOM, provider: {name: x}, rules: [{}]}"


def admission(cluster, *values):
    text = cluster.helm("template", "heddle", CHART, "--namespace=heddle-system", *(f"--set={v}" for v in values))
    return [o for o in yaml.safe_load_all(text) if o and o["kind"].startswith("ValidatingAdmissionPolicy")]


def apply(cluster, objects):
    cluster.kubectl("apply", "--filename=-", input=yaml.safe_dump_all(objects))


@pytest.fixture(scope="module")
def cluster():
    with Cluster(nodes=0) as made:
        istio.install(made, "AuthorizationPolicy", "PeerAuthentication")
        apply(made, admission(made))
        wait_until(lambda: "external authorizer" in refusal(made, "AuthorizationPolicy", REFUSED), "it is asked", 60)
        yield made


def policy(kind, spec, dry_run=None, name="p", version="v1"):
    annotations = {} if dry_run is None else {"istio.io/dry-run": dry_run}
    return json.dumps({"apiVersion": f"security.istio.io/{version}", "kind": kind, "spec": yaml.safe_load(spec),
                       "metadata": {"name": name, "namespace": "default", "annotations": annotations}})


def refusal(cluster, kind, spec, dry_run=None, version="v1"):
    """What the API server says against it; empty if it would take it."""
    try:
        cluster.kubectl("create", "--dry-run=server", "--filename=-",
                        input=policy(kind, spec, dry_run, version=version))
    except CommandFailed as failed:
        return str(failed)
    return ""


def test_the_api_server_judges_as_the_controller_does(cluster):
    wrong = []
    for case in CASES:
        said = refusal(cluster, case["kind"], case["spec"], case.get("dryRun"))
        api = case.get("api", "")
        if "refused" in case:
            right = (api or case["refused"]) in said
        else:
            right = bool(said) == (api == "stricter")
        if not right:
            wrong.append(f"{case['kind']} {case['spec']}: {said.splitlines()[-1:] or 'taken'}")
    assert wrong == []


def test_the_answer_says_that_it_is_invalid_and_whose_policy_says_so(cluster):
    said = refusal(cluster, "AuthorizationPolicy", REFUSED, version="v1beta1")
    assert "heddle-authorization-policies" in said and "is invalid" in said


def test_what_was_there_before_can_still_be_labelled_and_deleted(cluster):
    bindings = [o for o in admission(cluster) if o["kind"].endswith("Binding")]
    for binding in bindings:
        cluster.kubectl("delete", "validatingadmissionpolicybinding", binding["metadata"]["name"])
    wait_until(lambda: refusal(cluster, "AuthorizationPolicy", REFUSED) == "", "nobody is asked", 60)
    cluster.kubectl("create", "--filename=-", input=policy("AuthorizationPolicy", REFUSED, name="old"))
    apply(cluster, admission(cluster))
    wait_until(lambda: refusal(cluster, "AuthorizationPolicy", REFUSED), "it is asked again", 60)
    cluster.kubectl("label", "authorizationpolicy/old", "team=net")
    with pytest.raises(CommandFailed, match="external authorizer"):
        cluster.kubectl("patch", "authorizationpolicy/old", "--type=merge", "--patch", '{"spec": {"rules": [{}, {}]}}')
    cluster.kubectl("delete", "authorizationpolicy/old")


def test_it_can_warn_instead_and_be_left_out(cluster):
    assert admission(cluster, "validation.enabled=false") == []
    apply(cluster, admission(cluster, "validation.action=Warn"))
    wait_until(lambda: refusal(cluster, "AuthorizationPolicy", REFUSED) == "", "it is taken with a warning", 60)


def test_the_largest_policy_is_decided_within_the_budget(cluster):
    apply(cluster, admission(cluster))
    wait_until(lambda: refusal(cluster, "AuthorizationPolicy", REFUSED), "it denies again", 60)
    principals = [f"cluster.local/ns/shop/sa/account-{n}" for n in range(10)]
    source = {"source": {"principals": principals, "namespaces": ["a*"]}}
    rule = {"from": [source], "to": [{"operation": {"ports": ["80", "443"]}}]}
    assert refusal(cluster, "AuthorizationPolicy", json.dumps({"rules": [rule] * 100})) == ""
    bad = {"from": [source], "to": [{"operation": {"ports": ["http"]}}]}
    assert "not a port" in refusal(cluster, "AuthorizationPolicy", json.dumps({"rules": [*[rule] * 99, bad]}))


# Rules of ours that Istio's definitions of today are before; older ones had no rules.
A, P = "AuthorizationPolicy", "PeerAuthentication"
BEHIND_THE_SCHEMA = [
    (A, "{selector: {matchLabels: {a: '*'}}}", "takes no wildcards"),
    (A, "{selector: {matchLabels: {'': b}}}", "no empty names"),
    (A, "{selector: {matchLabels: {a: %s}}}" % ("a" * 64), "more than 63 bytes"),
    (A, "{selector: {matchLabels: {a: b}}, targetRefs: [{kind: Service, name: a}]}", "both selector"),
    (A, "{rules: [%s]}" % ", ".join(["{}"] * 513), "more than 512 rules"),
    (A, "{rules: [{from: [{source: {serviceAccounts: [a], namespaces: [b]}}]}]}", "cannot be combined"),
    (A, "{rules: [{from: [{source: {serviceAccounts: [%s]}}]}]}" % ", ".join("a" * 17), "than 16 entries"),
    (P, "{mtls: {mode: STRCT}}", "spec.mtls.mode must be UNSET"),
    (P, "{mtls: {}, portLevelMtls: {'80': {mode: STRICT}}}", "needs a selector"),
    (P, "{selector: {matchLabels: {a: b}}, portLevelMtls: {}}", "at least one port"),
    (P, "{selector: {matchLabels: {a: b}}, portLevelMtls: {http: {mode: STRICT}}}", "is not a port"),
    (P, "{selector: {matchLabels: {a: b}}, portLevelMtls: {'80': {mode: 'ON'}}}", "mode must be UNSET"),
]


def without_rules(definition):
    """The definition of a kind, as one that lets everything through."""
    for version in definition["spec"]["versions"]:
        version["schema"] = {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}
    return definition


def test_the_rules_do_not_rest_on_istios_schema(cluster):
    loose = [without_rules(made) for made in istio.definitions("AuthorizationPolicy", "PeerAuthentication")]
    cluster.kubectl("apply", "--server-side", "--filename=-", input=yaml.safe_dump_all(loose))
    kind, spec, words = BEHIND_THE_SCHEMA[0]
    wait_until(lambda: words in refusal(cluster, kind, spec), "the schema is gone", 60)
    for kind, spec, words in BEHIND_THE_SCHEMA:
        assert words in refusal(cluster, kind, spec), spec


def test_every_rule_has_been_tried(cluster):
    words = [case.get("api") or case["refused"] for case in CASES if "refused" in case]
    words += [words for _, _, words in BEHIND_THE_SCHEMA]
    for made in admission(cluster):
        for rule in made["spec"].get("validations", ()):
            assert rule["reason"] == "Invalid" and any(word in rule["message"] for word in words), rule["message"]
