#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "controlplane/api/decode.h"
#include "controlplane/api/tree_reader.h"
#include "controlplane/api/yaml.h"

namespace heddle::controlplane::api {
namespace {

using Action = AuthorizationPolicy::Action;
using testing::ElementsAre;
using testing::HasSubstr;

Decoded DecodeOne(std::string_view text) {
  std::vector<Tree> documents;
  const YamlError error = ParseYaml(text, documents);
  EXPECT_TRUE(error.ok()) << error.line << ": " << error.reason << "\n" << text;
  std::vector<Decoded> decoded = DecodeDocument(documents.at(0), "a.yaml");
  EXPECT_EQ(decoded.size(), 1u);
  return std::move(decoded.at(0));
}

// A policy of the given kind; `spec` is in flow style.
Decoded DecodeSpec(std::string_view kind, std::string_view spec) {
  return DecodeOne(absl::StrCat("apiVersion: security.istio.io/v1\nkind: ", std::string(kind),
                                "\nmetadata: {name: p, namespace: shop}\nspec: ", std::string(spec),
                                "\n"));
}

AuthorizationPolicy Policy(std::string_view spec) {
  const Decoded decoded = DecodeSpec("AuthorizationPolicy", spec);
  EXPECT_EQ(decoded.reason, "") << spec;
  return decoded.object.has_value()
             ? *std::get<std::shared_ptr<const AuthorizationPolicy>>(*decoded.object)
             : AuthorizationPolicy();
}

TEST(DecodeAuthorizationPolicy, ReadsEveryAttributeOfL4) {
  const AuthorizationPolicy policy = Policy(R"({
    selector: {matchLabels: {app: web}}, action: DENY, rules: [{
      from: [
        {source: {principals: [a, "b*", "*c", "*"], notPrincipals: [d], namespaces: [n], notNamespaces: [m]}},
        {source: {serviceAccounts: [sa, other/sa], notServiceAccounts: [x]}},
        {source: {ipBlocks: [10.0.0.0/8, "fd00::1"], notIpBlocks: [10.1.0.0/16]}},
        {source: {trustDomains: [td, "t*", "*"]}}],
      to: [{operation: {ports: ["80"], notPorts: ["81"]}}],
      when: [{key: destination.port, values: ["82"], notValues: ["83"]}, {key: source.ip, values: [1.2.3.4]}]}]})");
  ASSERT_EQ(policy.rules.size(), 1u);
  const PolicyRule& rule = policy.rules[0];
  EXPECT_THAT(rule.from[0].principals,
              ElementsAre(StringPattern{StringPattern::Kind::kExact, "a"},
                          StringPattern{StringPattern::Kind::kPrefix, "b"},
                          StringPattern{StringPattern::Kind::kSuffix, "c"},
                          StringPattern{StringPattern::Kind::kPresence, ""}));
  EXPECT_THAT(rule.from[1].service_accounts,
              ElementsAre(NamespacedName{"shop", "sa"}, NamespacedName{"other", "sa"}));
  EXPECT_EQ(rule.from[2].source_ips.size(), 2u);
  EXPECT_THAT(rule.from[3].principals,
              ElementsAre(StringPattern{StringPattern::Kind::kPrefix, "td/"},
                          StringPattern{StringPattern::Kind::kPrefix, "t"},
                          StringPattern{StringPattern::Kind::kPresence, ""}));
  EXPECT_THAT(rule.to[0].ports, ElementsAre(80));
  EXPECT_THAT(rule.when[0].not_ports, ElementsAre(83));
  EXPECT_FALSE(rule.NeedsHttp());
}

TEST(DecodeAuthorizationPolicy, ReadsSnakeCaseEnumNumbersAndTheOlderVersion) {
  const Decoded decoded = DecodeOne(R"(
apiVersion: security.istio.io/v1beta1
kind: AuthorizationPolicy
metadata: {name: p, namespace: shop, annotations: {istio.io/dry-run: "true"}}
spec:
  action: 1
  selector: {match_labels: {app: web}}
  rules: [{from: [{source: {not_ip_blocks: [10.0.0.0/8]}}]}]
status: {anything: [1]}
)");
  ASSERT_TRUE(decoded.object.has_value()) << decoded.reason;
  const AuthorizationPolicy& policy =
      *std::get<std::shared_ptr<const AuthorizationPolicy>>(*decoded.object);
  EXPECT_EQ(policy.action, Action::kDeny);
  EXPECT_TRUE(policy.dry_run);
  EXPECT_EQ(policy.selector.size(), 1u);
  EXPECT_EQ(policy.rules[0].from[0].not_source_ips.size(), 1u);
}

TEST(DecodeAuthorizationPolicy, MarksWhatNeedsHttp) {
  const AuthorizationPolicy policy = Policy(
      R"({action: DENY, rules: [{to: [{operation: {ports: ["80"], methods: [GET]}}]},
          {from: [{source: {namespaces: [a], requestPrincipals: ["*"]}}], to: [{operation: {paths: [/x]}}]},
          {when: [{key: "request.headers[x]", values: [y]}, {key: source.namespace, values: [b]}]}]})");
  ASSERT_EQ(policy.rules.size(), 3u);
  for (const PolicyRule& rule : policy.rules) {
    EXPECT_TRUE(rule.NeedsHttp());
    EXPECT_FALSE(rule.MatchesAllAtL4());
  }
}

TEST(DecodeAuthorizationPolicy, AcceptsTheEmptyFormsThatMeanSomething) {
  EXPECT_TRUE(Policy("{}").rules.empty());
  EXPECT_EQ(Policy("{}").action, Action::kAllow);
  EXPECT_TRUE(Policy("{rules: [{}]}").rules.at(0).MatchesAllAtL4());
  EXPECT_TRUE(Policy("{targetRefs: [{group: '', kind: Service, name: a}]}").has_target_refs);
  EXPECT_EQ(Policy("{action: AUDIT, rules: [{}]}").action, Action::kAudit);
}

// One line of testdata/security_policies.yaml.
struct Case {
  std::string kind;
  std::string dry_run;
  std::string spec;
  std::string refused;
};

std::vector<Case> SecurityCases() {
  std::ifstream file("controlplane/api/testdata/security_policies.yaml");
  std::vector<Tree> documents;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_TRUE(ParseYaml(text, documents).ok());
  std::vector<Case> cases;
  for (const Tree& row : documents.at(0).items) {
    DecodeError error;
    TreeReader c(&row, "", Strictness::kStrict, error);
    cases.push_back({c.String("kind"), c.String("dryRun"), c.String("spec"), c.String("refused")});
    EXPECT_TRUE(error.ok()) << error.line << ": " << error.reason;
  }
  return cases;
}

// The table is also that of the chart's admission policies, which a real API server is asked about.
TEST(DecodeSecurityPolicies, RefusesWhatWouldMeanSomethingElse) {
  const std::vector<Case> cases = SecurityCases();
  ASSERT_GT(cases.size(), 100u);
  for (const Case& c : cases) {
    const Decoded decoded = DecodeOne(
        absl::StrCat("apiVersion: security.istio.io/v1\nkind: ", c.kind,
                     "\nmetadata: {name: p, namespace: shop, annotations: {istio.io/dry-run: '",
                     c.dry_run, "'}}\nspec: ", c.spec, "\n"));
    EXPECT_EQ(decoded.reason.empty(), c.refused.empty()) << c.spec << ": " << decoded.reason;
    EXPECT_THAT(decoded.reason, HasSubstr(c.refused)) << c.spec;
    if (c.refused.empty()) continue;
    EXPECT_EQ(decoded.line, c.dry_run.empty() ? 4 : 1) << c.spec;
    EXPECT_TRUE(decoded.stand_in.has_value()) << c.spec;
  }
}

TEST(DecodeAuthorizationPolicy, StandsInWithADenyOfWhatTheRefusedOneSelects) {
  const struct {
    const char* spec;
    size_t labels;
  } cases[] = {
      {"{selector: {matchLabels: {app: web}}, rulez: []}", 1},
      {"{selector: {matchLabels: {app: 1}}}", 0},
      {"{selector: [], rules: []}", 0},
      {"x", 0},
  };
  for (const auto& c : cases) {
    const Decoded decoded = DecodeSpec("AuthorizationPolicy", c.spec);
    ASSERT_TRUE(decoded.stand_in.has_value()) << c.spec;
    const AuthorizationPolicy& policy =
        *std::get<std::shared_ptr<const AuthorizationPolicy>>(*decoded.stand_in);
    EXPECT_EQ(policy.action, Action::kDeny);
    EXPECT_TRUE(policy.stand_in);
    EXPECT_FALSE(policy.has_target_refs);
    ASSERT_EQ(policy.rules.size(), 1u);
    EXPECT_TRUE(policy.rules[0].MatchesAllAtL4());
    EXPECT_EQ(policy.selector.size(), c.labels) << c.spec;
    EXPECT_EQ(NameOf(policy.meta), (NamespacedName{"shop", "p"}));
  }
}

TEST(DecodeAuthorizationPolicy, StandsInForAPolicyWithoutAName) {
  const Decoded decoded = DecodeOne(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {nmae: p, namespace: "
      "shop}\nspec: {}\n");
  EXPECT_THAT(decoded.reason, HasSubstr("unknown field \"nmae\""));
  ASSERT_TRUE(decoded.stand_in.has_value());
  EXPECT_THAT(MetaOf(*decoded.stand_in).name, HasSubstr("unnamed."));
}

TEST(DecodeAuthorizationPolicy, KeepsADryRunADryRunWhenItIsRefused) {
  const Decoded decoded = DecodeOne(
      "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: p, annotations: {istio.io/dry-run: 'true'}}\nspec: {x: 1}\n");
  ASSERT_TRUE(decoded.stand_in.has_value());
  EXPECT_TRUE(std::get<std::shared_ptr<const AuthorizationPolicy>>(*decoded.stand_in)->dry_run);
}

TEST(DecodePeerAuthentication, ReadsModesOfTheWorkloadAndOfPorts) {
  const Decoded decoded = DecodeSpec("PeerAuthentication",
                                     "{selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}, "
                                     "portLevelMtls: {8080: {mode: DISABLE}, '81': {mode: 2}}}");
  ASSERT_TRUE(decoded.object.has_value()) << decoded.reason;
  const PeerAuthentication& policy =
      *std::get<std::shared_ptr<const PeerAuthentication>>(*decoded.object);
  EXPECT_EQ(policy.mode, MtlsMode::kStrict);
  EXPECT_EQ(policy.port_modes, (std::map<uint16_t, MtlsMode>{{81, MtlsMode::kPermissive},
                                                             {8080, MtlsMode::kDisable}}));
}

TEST(DecodePeerAuthentication, StandsInStrict) {
  for (const char* spec : {"{mtls: {mode: STRCT}}", "{mode: STRICT}", "[]", "x"}) {
    const Decoded decoded = DecodeSpec("PeerAuthentication", spec);
    ASSERT_TRUE(decoded.stand_in.has_value()) << spec;
    EXPECT_EQ(std::get<std::shared_ptr<const PeerAuthentication>>(*decoded.stand_in)->mode,
              MtlsMode::kStrict);
  }
}

InterceptionPolicy Interception(std::string_view spec) {
  const Decoded decoded =
      DecodeOne(absl::StrCat("apiVersion: heddle.io/v1alpha1\nkind: InterceptionPolicy\nmetadata: "
                             "{name: p, namespace: shop}\nspec: ",
                             std::string(spec), "\n"));
  EXPECT_EQ(decoded.reason, "") << spec;
  return decoded.object.has_value()
             ? *std::get<std::shared_ptr<const InterceptionPolicy>>(*decoded.object)
             : InterceptionPolicy();
}

TEST(DecodeInterceptionPolicy, ReadsEveryField) {
  const InterceptionPolicy policy = Interception(R"({selector: {matchLabels: {app: web}},
    excludedInboundPorts: [9100], excludedOutboundPorts: [3306, 65535],
    excludedInboundCidrs: [192.0.2.7/24, "::/0"],
    excludedOutboundCidrs: [169.254.169.254, "fd00::/8"], failMode: Open})");
  EXPECT_EQ(policy.selector, (Labels{{"app", "web"}}));
  EXPECT_THAT(policy.exclusions.inbound_ports, ElementsAre(9100));
  EXPECT_THAT(policy.exclusions.outbound_ports, ElementsAre(3306, 65535));
  EXPECT_THAT(policy.exclusions.inbound_cidrs, ElementsAre(*io::IpPrefix::Parse("192.0.2.0/24"),
                                                           *io::IpPrefix::Parse("::/0")));
  EXPECT_THAT(
      policy.exclusions.outbound_cidrs,
      ElementsAre(*io::IpPrefix::Parse("169.254.169.254/32"), *io::IpPrefix::Parse("fd00::/8")));
  EXPECT_TRUE(policy.fail_open);
  EXPECT_FALSE(Interception("{}").fail_open);
}

// The table is also that of the CRD, which a real API server is asked about.
TEST(DecodeInterceptionPolicy, RefusesWhatItCannotMean) {
  std::ifstream file("controlplane/api/testdata/interception_policies.yaml");
  std::vector<Tree> documents;
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  ASSERT_TRUE(ParseYaml(text, documents).ok());
  ASSERT_GT(documents.at(0).items.size(), 30u);
  for (const Tree& row : documents[0].items) {
    DecodeError error;
    TreeReader c(&row, "", Strictness::kStrict, error);
    const std::string spec = c.String("spec");
    const std::string refused = c.String("refused");
    ASSERT_TRUE(error.ok()) << error.line << ": " << error.reason;
    const Decoded decoded =
        DecodeOne(absl::StrCat("apiVersion: heddle.io/v1alpha1\nkind: "
                               "InterceptionPolicy\nmetadata: {name: p, namespace: shop}\nspec: ",
                               spec, "\n"));
    EXPECT_EQ(decoded.reason.empty(), refused.empty()) << spec << ": " << decoded.reason;
    EXPECT_THAT(decoded.reason, HasSubstr(refused)) << spec;
    if (refused.empty()) continue;
    ASSERT_TRUE(decoded.stand_in.has_value()) << spec;
    const auto& stand_in = *std::get<std::shared_ptr<const InterceptionPolicy>>(*decoded.stand_in);
    EXPECT_EQ(stand_in.exclusions, Exclusions()) << spec;
    EXPECT_FALSE(stand_in.fail_open) << spec;
  }
}

}  // namespace
}  // namespace heddle::controlplane::api
