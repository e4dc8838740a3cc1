#include "cli/preflight/cluster_checks.h"

#include <gmock/gmock.h>

namespace heddle::cli {
namespace {

using Json = nlohmann::json;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;

Json Object(const std::string& name_space, const std::string& name, Json labels = Json::object()) {
  return {{"metadata", {{"namespace", name_space}, {"name", name}, {"labels", std::move(labels)}}}};
}

Json With(Json object, const char* spec) {
  object["spec"] = Json::parse(spec);
  return object;
}

const Json kAmbient = {{"istio.io/dataplane-mode", "ambient"}};

TEST(JudgeServerVersion, WantsTheOldestThatHasTheRules) {
  const struct {
    const char* version;
    Verdict verdict;
  } cases[] = {
      {R"({"major": "1", "minor": "31"})", Verdict::kOk},
      {R"({"major": "1", "minor": "33+"})", Verdict::kOk},
      {R"({"major": "2", "minor": "0"})", Verdict::kOk},
      {R"({"major": "1", "minor": "30"})", Verdict::kFailed},
      {R"({"major": 1, "minor": "31"})", Verdict::kFailed},
      {R"([])", Verdict::kFailed},
  };
  for (const auto& c : cases)
    EXPECT_EQ(JudgeServerVersion(Json::parse(c.version)).verdict, c.verdict) << c.version;
}

TEST(JudgeForeignMeshes, KnowsTheirParts) {
  ClusterFacts facts;
  EXPECT_EQ(JudgeForeignMeshes(facts).at(0).verdict, Verdict::kOk);
  facts.daemon_sets = {Object("istio-system", "ztunnel"), Object("x", "ztunnels"),
                       Object("kube-system", "linkerd-cni")};
  facts.mutating_webhooks = {Object("", "istio-sidecar-injector-canary")};
  facts.deployments = {Object("istio-system", "istiod-canary", {{"app", "istiod"}})};
  facts.namespaces = {
      Object("", "both", {{"istio-injection", "enabled"}, {"istio.io/dataplane-mode", "ambient"}}),
      Object("", "sidecars", {{"istio-injection", "enabled"}})};
  const std::vector<Finding> findings = JudgeForeignMeshes(facts);
  ASSERT_EQ(findings.size(), 5u);
  EXPECT_EQ(findings[0].verdict, Verdict::kFailed);
  EXPECT_THAT(findings[0].sentence, HasSubstr("istio-system/ztunnel"));
  EXPECT_EQ(findings[1].verdict, Verdict::kWarning);
  EXPECT_THAT(findings[2].sentence, HasSubstr("istio-sidecar-injector-canary"));
  EXPECT_THAT(findings[3].sentence, HasSubstr("istiod-canary"));
  EXPECT_THAT(findings[4].sentence, HasSubstr("namespace both"));
}

TEST(JudgeRemoval, RefusesAnInstallThatWouldLeaveAtOnceAndWarnsOfAMeshThatLeaves) {
  ClusterFacts facts;
  EXPECT_EQ(JudgeRemoval(facts, "mesh").verdict, Verdict::kOk);
  facts.removal = Object("mesh", "heddle-removal");
  facts.daemon_sets = {Object("other", "heddle-agent")};
  EXPECT_EQ(JudgeRemoval(facts, "mesh").verdict, Verdict::kFailed);
  EXPECT_THAT(JudgeRemoval(facts, "mesh").advice,
              HasSubstr("heddlectl uninstall --cancel --namespace=mesh"));
  facts.daemon_sets = {Object("mesh", "heddle-agent")};
  EXPECT_EQ(JudgeRemoval(facts, "mesh").verdict, Verdict::kWarning);
}

TEST(JudgePodSecurity, RefusesANamespaceThatAdmitsNoAgents) {
  const ClusterFacts facts{
      .namespaces = {
          Object("", "open"),
          Object("", "privileged", {{"pod-security.kubernetes.io/enforce", "privileged"}}),
          Object("", "baseline", {{"pod-security.kubernetes.io/enforce", "baseline"}})}};
  EXPECT_EQ(JudgePodSecurity(facts, "absent").verdict, Verdict::kOk);
  EXPECT_EQ(JudgePodSecurity(facts, "open").verdict, Verdict::kOk);
  EXPECT_EQ(JudgePodSecurity(facts, "privileged").verdict, Verdict::kOk);
  EXPECT_EQ(JudgePodSecurity(facts, "baseline").verdict, Verdict::kFailed);
}

TEST(JudgePermissions, NamesWhatIsNotAllowed) {
  std::vector<Permission> permissions = NeededPermissions();
  for (Permission& each : permissions) each.allowed = each.resource != "clusterroles";
  const Finding finding = JudgePermissions(permissions);
  EXPECT_EQ(finding.verdict, Verdict::kFailed);
  EXPECT_EQ(finding.sentence,
            "who asks may not create, patch, delete, escalate, bind "
            "clusterroles.rbac.authorization.k8s.io");
}

TEST(NeededPermissions, AreAboutAllKindsThatAreInstalled) {
  const std::vector<Permission> permissions = NeededPermissions();
  for (const char* needed : {"roles", "rolebindings", "secrets", "namespaces", "daemonsets"}) {
    EXPECT_THAT(permissions, Contains(Field(&Permission::resource, needed))) << needed;
  }
  for (const Permission& each : permissions)
    EXPECT_EQ(each.group == "apps",
              each.resource == "deployments" || each.resource == "daemonsets");
}

TEST(JudgeNetworkPolicies, FindsPodsThatAreCutOffFromTheMeshsPort) {
  const struct {
    const char* name;
    std::vector<const char*> specs;
    bool blocked;
  } cases[] = {
      {"no policy", {}, false},
      {"a port and not ours",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 8080}]}]})"},
       true},
      {"a port by name",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": "http"}]}]})"},
       true},
      {"ours", {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 15008}]}]})"}, false},
      {"ours in a range",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 15000, "endPort": 15100}]}]})"},
       false},
      {"a range below",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 1, "endPort": 15007}]}]})"},
       true},
      {"ours by UDP",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 15008, "protocol": "UDP"}]}]})"},
       true},
      {"every port of one protocol",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"protocol": "TCP"}]}]})"},
       false},
      {"peers, every port",
       {R"({"podSelector": {}, "ingress": [{"from": [{"podSelector": {}}]}]})"},
       false},
      {"everything", {R"({"podSelector": {}, "ingress": [{}]})"}, false},
      {"nothing at all: no traffic is meant", {R"({"podSelector": {}, "ingress": []})"}, false},
      {"other pods",
       {R"({"podSelector": {"matchLabels": {"app": "db"}}, "ingress": [{"ports": [{"port": 1}]}]})"},
       false},
      {"another policy allows ours",
       {R"({"podSelector": {}, "ingress": [{"ports": [{"port": 8080}]}]})",
        R"({"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{"ports": [{"port": 15008}]}]})"},
       false},
      {"on the way out",
       {R"({"podSelector": {}, "policyTypes": ["Egress"], "egress": [{"ports": [{"port": 443}]}]})"},
       true},
      {"on the way out, not said to be",
       {R"({"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}], "egress": [{"ports": [{"port": 1}]}]})"},
       false},
  };
  for (const auto& c : cases) {
    ClusterFacts facts{.namespaces = {Object("", "shop", kAmbient)},
                       .pods = {Object("shop", "web-1", {{"app", "web"}}), Object("other", "x")}};
    for (const char* spec : c.specs)
      facts.network_policies.push_back(With(Object("shop", "p"), spec));
    const std::vector<Finding> findings = JudgeNetworkPolicies(facts);
    ASSERT_EQ(findings.size(), 1u) << c.name;
    EXPECT_EQ(findings[0].verdict, c.blocked ? Verdict::kFailed : Verdict::kOk) << c.name;
    if (c.blocked) EXPECT_THAT(findings[0].sentence, HasSubstr("web-1")) << c.name;
  }
}

TEST(JudgeNetworkPolicies, OnlyWarnsOfPodsThatAreNotInTheMesh) {
  ClusterFacts facts{.namespaces = {Object("", "shop")}, .pods = {Object("shop", "web-1")}};
  facts.network_policies = {With(
      Object("shop", "p"), R"({"podSelector": {}, "ingress": [{"ports": [{"port": 8080}]}]})")};
  EXPECT_EQ(JudgeNetworkPolicies(facts).at(0).verdict, Verdict::kWarning);
  facts.pods[0]["spec"] = {{"hostNetwork", true}};
  EXPECT_EQ(JudgeNetworkPolicies(facts).at(0).verdict, Verdict::kOk);
}

// A webhook of pods of an enrolled namespace, at the named port 9443 of theirs.
ClusterFacts Webhook(const char* failure_policy) {
  ClusterFacts facts{.root_namespace = "istio-system",
                     .namespaces = {Object("", "shop", kAmbient)}};
  facts.pods = {With(Object("shop", "hook-1", {{"app", "hook"}}),
                     R"({"containers": [{"ports": [{"name": "https", "containerPort": 9443}]}]})")};
  facts.services = {
      With(Object("shop", "hook"),
           R"({"selector": {"app": "hook"}, "ports": [{"port": 443, "targetPort": "https"}]})")};
  Json configuration = Object("", "hooks");
  configuration["webhooks"] = {
      {{"name", "a.b.c"},
       {"failurePolicy", failure_policy},
       {"clientConfig", {{"service", {{"namespace", "shop"}, {"name", "hook"}}}}}}};
  facts.validating_webhooks = {configuration};
  return facts;
}

TEST(JudgeStrictCalls, AsksThePolicyOfPodNamespaceAndMesh) {
  const struct {
    const char* name;
    std::vector<Json> policies;
    Verdict verdict;
  } cases[] = {
      {"none", {}, Verdict::kOk},
      {"mesh",
       {With(Object("istio-system", "m"), R"({"mtls": {"mode": "STRICT"}})")},
       Verdict::kFailed},
      {"namespace permissive",
       {With(Object("istio-system", "m"), R"({"mtls": {"mode": "STRICT"}})"),
        With(Object("shop", "n"), R"({"mtls": {"mode": "PERMISSIVE"}})")},
       Verdict::kOk},
      {"port permissive",
       {With(Object("shop", "n"), R"({"mtls": {"mode": "STRICT"}})"),
        With(Object("shop", "w"), R"({"selector": {"matchLabels": {"app": "hook"}},
                                      "portLevelMtls": {"9443": {"mode": "PERMISSIVE"}}})")},
       Verdict::kOk},
      {"another port permissive",
       {With(Object("shop", "n"), R"({"mtls": {"mode": "STRICT"}})"),
        With(Object("shop", "w"), R"({"selector": {"matchLabels": {"app": "hook"}},
                                      "portLevelMtls": {"443": {"mode": "PERMISSIVE"}}})")},
       Verdict::kFailed},
      {"other pods",
       {With(Object("shop", "w"),
             R"({"selector": {"matchLabels": {"app": "x"}}, "mtls": {"mode": "STRICT"}})")},
       Verdict::kOk},
      {"unset inherits",
       {With(Object("shop", "n"), R"({"mtls": {"mode": "UNSET"}})"),
        With(Object("istio-system", "m"), R"({"mtls": {"mode": "STRICT"}})")},
       Verdict::kFailed},
  };
  for (const auto& c : cases) {
    ClusterFacts facts = Webhook("Fail");
    facts.peer_authentications = c.policies;
    const std::vector<Finding> findings = JudgeStrictCalls(facts);
    ASSERT_EQ(findings.size(), 1u) << c.name;
    EXPECT_EQ(findings[0].verdict, c.verdict) << c.name;
    if (c.verdict == Verdict::kFailed)
      EXPECT_THAT(findings[0].advice, HasSubstr("\"9443\"")) << c.name;
  }
}

TEST(JudgeStrictCalls, KnowsEveryKindOfCallAndWhoIsNotInTheMesh) {
  ClusterFacts facts = Webhook("Ignore");
  facts.peer_authentications = {
      With(Object("istio-system", "m"), R"({"mtls": {"mode": "STRICT"}})")};
  facts.mutating_webhooks = facts.validating_webhooks;
  facts.mutating_webhooks[0]["webhooks"].push_back(
      {{"clientConfig", {{"url", "https://outside"}}}});
  const Json service = {{"namespace", "shop"}, {"name", "hook"}, {"port", 443}};
  facts.api_services = {With(Object("", "v1.metrics"), "{}"), With(Object("", "v1."), "{}")};
  facts.api_services[0]["spec"]["service"] = service;
  facts.custom_kinds = {With(Object("", "things.x.y"), "{}")};
  facts.custom_kinds[0]["spec"]["conversion"]["webhook"]["clientConfig"]["service"] = service;
  const std::vector<Finding> findings = JudgeStrictCalls(facts);
  ASSERT_EQ(findings.size(), 4u);
  EXPECT_EQ(findings[0].verdict, Verdict::kWarning);  // failurePolicy Ignore.
  EXPECT_EQ(findings[1].verdict, Verdict::kWarning);
  EXPECT_THAT(findings[2].sentence, HasSubstr("conversion of things.x.y"));
  EXPECT_EQ(findings[3].verdict, Verdict::kFailed);
  facts.pods[0]["metadata"]["labels"]["istio.io/dataplane-mode"] = "none";
  EXPECT_EQ(JudgeStrictCalls(facts).at(0).verdict, Verdict::kOk);
}

}  // namespace
}  // namespace heddle::cli
