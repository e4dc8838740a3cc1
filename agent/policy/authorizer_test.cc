#include "agent/policy/authorizer.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "agent/model/testing/world.h"

// One test per row of the tables in spec/ambient-wire.md sections 5.2 to 5.5, in their order; then where we differ from
// ztunnel: closed where it is open.
namespace heddle::agent {
namespace {

using testing::World;
using testing::WorkloadOptions;

constexpr std::string_view kClient = "spiffe://cluster.local/ns/shop/sa/cart";

struct Connection {
  std::string_view source = "10.0.0.9";
  uint16_t port = 8080;
  std::string_view identity = kClient;  // Empty: plaintext.
};

Verdict Ask(const State& state, const Connection& connection, std::string_view pod = "web-1") {
  const WorkloadRef workload =
      state.FindWorkload(WorkloadUid(absl::StrCat("Kubernetes//Pod/default/", std::string(pod))));
  const auto identity = tls::SpiffeId::Parse(connection.identity);
  return Decide(state, workload.get(),
                {.source = *io::IpAddress::Parse(connection.source),
                 .destination = *io::IpAddress::Parse("10.0.0.1"),
                 .destination_port = connection.port,
                 .identity = identity.ok() ? &*identity : nullptr});
}

// The state of a workload "web-1" with these policies; selector policies are referenced by it.
StateRef With(const std::vector<std::string>& policies, std::vector<std::string> referenced = {}) {
  World world;
  for (const std::string& policy : policies) {
    world.AddPolicy(policy);
    const auto message = testing::MakePolicy(policy);
    if (message.scope() == istio::security::WORKLOAD_SELECTOR) referenced.push_back(testing::NameOf(message));
  }
  return world.Add(WorkloadOptions{.policies = std::move(referenced)}).Ready().Build();
}

// A policy of namespace "default" from the text of its matches: one rule, one clause.
std::string Matching(std::string_view action, std::string_view match, std::string_view name = "p") {
  return absl::StrCat("name: '", std::string(name), "' namespace: 'default' scope: NAMESPACE action: ",
                      std::string(action), " rules { clauses { matches { ", std::string(match), " } } }");
}

bool Allowed(const State& state, const Connection& connection = {}) { return Ask(state, connection).allowed; }

const std::string kAllowAll = "name: 'all' namespace: 'default' scope: NAMESPACE action: ALLOW rules {}";
const std::string kDenyAll = "name: 'none' namespace: 'default' scope: NAMESPACE action: DENY rules {}";

// ---- 5.2 Policy set and order

TEST(AuthorizerSet, HoldsPoliciesOfTheNamespaceOnly) {
  EXPECT_FALSE(Allowed(*With({"name: 'd' namespace: 'default' scope: NAMESPACE action: DENY rules {}"})));
  EXPECT_TRUE(Allowed(*With({"name: 'd' namespace: 'other' scope: NAMESPACE action: DENY rules {}"})));
}

TEST(AuthorizerSet, HoldsGlobalPolicies) {
  EXPECT_FALSE(Allowed(*With({"name: 'd' namespace: 'istio-system' scope: GLOBAL action: DENY rules {}"})));
}

TEST(AuthorizerSet, HoldsSelectorPoliciesThatTheWorkloadNames) {
  const std::string policy = "name: 'd' namespace: 'default' scope: WORKLOAD_SELECTOR action: DENY rules {}";
  EXPECT_FALSE(Allowed(*With({policy})));
  World world;
  world.AddPolicy(policy).Add(WorkloadOptions{}).Ready();
  EXPECT_TRUE(Allowed(*world.Build())) << "known, but not referenced";
}

TEST(AuthorizerOrder, DryRunPoliciesDecideNothing) {
  EXPECT_TRUE(Allowed(*With({kDenyAll + " dry_run: true"})));
  EXPECT_TRUE(Allowed(*With({Matching("ALLOW", "destination_ports: 1") + " dry_run: true"})));
}

TEST(AuthorizerOrder, DenyComesBeforeAllow) {
  const StateRef state = With({kAllowAll, kDenyAll});
  const Verdict verdict = Ask(*state, {});
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, VerdictReason::kDenyMatched);
  EXPECT_EQ(verdict.policy, "default/none");
}

TEST(AuthorizerOrder, NoAllowPolicyAllows) {
  const StateRef state = With({Matching("DENY", "destination_ports: 1")});
  const Verdict verdict = Ask(*state, {});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.reason, VerdictReason::kNoAllowPolicy);
}

TEST(AuthorizerOrder, AnyMatchingAllowPolicyAllows) {
  const StateRef state = With(
      {Matching("ALLOW", "destination_ports: 1", "a"), Matching("ALLOW", "destination_ports: 8080", "b")});
  const Verdict verdict = Ask(*state, {});
  EXPECT_TRUE(verdict.allowed);
  EXPECT_EQ(verdict.reason, VerdictReason::kAllowMatched);
  EXPECT_EQ(verdict.policy, "default/b");
}

TEST(AuthorizerOrder, DeniesOnceAnAllowPolicySelectsAndNoneMatches) {
  const StateRef state = With({Matching("ALLOW", "destination_ports: 1")});
  const Verdict verdict = Ask(*state, {});
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, VerdictReason::kNoAllowMatched);
}

// ---- 5.3 Match semantics

TEST(AuthorizerMatch, PolicyWithoutRulesNeverMatches) {
  EXPECT_FALSE(Allowed(*With({"name: 'p' namespace: 'default' scope: NAMESPACE action: ALLOW"}))) << "deny-all";
  EXPECT_TRUE(Allowed(*With({"name: 'p' namespace: 'default' scope: NAMESPACE action: DENY"}))) << "no-op";
}

TEST(AuthorizerMatch, RulesAreAlternatives) {
  const std::string text =
      "name: 'p' namespace: 'default' scope: NAMESPACE action: ALLOW"
      " rules { clauses { matches { destination_ports: 1 } } } rules { clauses { matches { "
      "destination_ports: 8080 } } }";
  EXPECT_TRUE(Allowed(*With({text})));
}

TEST(AuthorizerMatch, RuleWithoutClausesMatchesEverything) {
  EXPECT_TRUE(Allowed(*With({kAllowAll})));
  EXPECT_FALSE(Allowed(*With({kDenyAll})));
}

TEST(AuthorizerMatch, ClausesMustAllHold) {
  const std::string text =
      "name: 'p' namespace: 'default' scope: NAMESPACE action: ALLOW rules {"
      " clauses { matches { destination_ports: 8080 } } clauses { matches { namespaces { exact: 'shop' } } } }";
  const StateRef state = With({text});
  EXPECT_TRUE(Allowed(*state));
  EXPECT_FALSE(Allowed(*state, {.port = 1}));
  EXPECT_FALSE(Allowed(*state, {.identity = "spiffe://cluster.local/ns/other/sa/cart"}));
}

TEST(AuthorizerMatch, ClauseWithoutMatchesMatches) {
  EXPECT_TRUE(Allowed(*With({"name: 'p' namespace: 'default' scope: NAMESPACE action: ALLOW rules { clauses {} }"})));
}

TEST(AuthorizerMatch, MatchesOfAClauseAreAlternatives) {
  const std::string text =
      "name: 'p' namespace: 'default' scope: NAMESPACE action: ALLOW"
      " rules { clauses { matches { destination_ports: 1 } matches { destination_ports: 8080 } } }";
  EXPECT_TRUE(Allowed(*With({text})));
}

TEST(AuthorizerMatch, EmptyMatchNeverMatches) {
  EXPECT_FALSE(Allowed(*With({Matching("ALLOW", "")})));
  EXPECT_TRUE(Allowed(*With({Matching("DENY", "")})));
}

TEST(AuthorizerMatch, AttributeTypesMustAllHold) {
  const StateRef state = With({Matching("ALLOW", "destination_ports: 8080 namespaces { exact: 'shop' }")});
  EXPECT_TRUE(Allowed(*state));
  EXPECT_FALSE(Allowed(*state, {.port = 1}));
}

struct MatchCase {
  std::string match;
  std::string_view identity;
  bool want;
};

class AuthorizerMatchTable : public ::testing::TestWithParam<MatchCase> {};

TEST_P(AuthorizerMatchTable, DecidesAsTheTableSays) {
  const MatchCase& test = GetParam();
  const Connection connection{.identity = test.identity};
  EXPECT_EQ(Allowed(*With({Matching("ALLOW", test.match)}), connection), test.want) << test.match;
  EXPECT_EQ(Allowed(*With({Matching("DENY", test.match)}), connection), !test.want) << test.match;
}

INSTANTIATE_TEST_SUITE_P(
    IdentityAbsent, AuthorizerMatchTable,
    ::testing::Values(MatchCase{"principals { presence {} }", "", false},
                      MatchCase{"principals { exact: 'cluster.local/ns/shop/sa/cart' }", "", false},
                      MatchCase{"not_principals { presence {} }", "", true},
                      MatchCase{"not_principals { exact: 'cluster.local/ns/shop/sa/cart' }", "", true},
                      MatchCase{"namespaces { presence {} }", "", false},
                      MatchCase{"not_namespaces { presence {} }", "", true},
                      MatchCase{"service_accounts { namespace: 'shop' service_account: 'cart' }", "", false},
                      MatchCase{"not_service_accounts { namespace: 'shop' service_account: 'cart' }", "", true}));

INSTANTIATE_TEST_SUITE_P(
    Principals, AuthorizerMatchTable,
    ::testing::Values(MatchCase{"principals { exact: 'cluster.local/ns/shop/sa/cart' }", kClient, true},
                      MatchCase{"principals { exact: 'spiffe://cluster.local/ns/shop/sa/cart' }", kClient, false},
                      MatchCase{"principals { exact: 'cluster.local/ns/shop/sa/car' }", kClient, false},
                      MatchCase{"principals { prefix: 'cluster.local/ns/shop/' }", kClient, true},
                      MatchCase{"principals { prefix: 'cluster.local/ns/other/' }", kClient, false},
                      MatchCase{"principals { suffix: '/sa/cart' }", kClient, true},
                      MatchCase{"principals { suffix: '/sa/car' }", kClient, false},
                      MatchCase{"principals { presence {} }", kClient, true},
                      MatchCase{"not_principals { presence {} }", kClient, false},
                      MatchCase{"principals { exact: 'x' } principals { suffix: 'cart' }", kClient, true},
                      MatchCase{"principals { presence {} } not_principals { suffix: 'cart' }", kClient, false}));

INSTANTIATE_TEST_SUITE_P(
    Namespaces, AuthorizerMatchTable,
    ::testing::Values(MatchCase{"namespaces { exact: 'shop' }", kClient, true},
                      MatchCase{"namespaces { exact: 'sho' }", kClient, false},
                      MatchCase{"namespaces { prefix: 'sh' }", kClient, true},
                      MatchCase{"not_namespaces { exact: 'shop' }", kClient, false},
                      MatchCase{"not_namespaces { exact: 'other' }", kClient, true}));

INSTANTIATE_TEST_SUITE_P(
    ServiceAccounts, AuthorizerMatchTable,
    ::testing::Values(
        MatchCase{"service_accounts { namespace: 'shop' service_account: 'cart' }", kClient, true},
        MatchCase{"service_accounts { namespace: 'shop' service_account: 'cart' }",
                  "spiffe://td/ns/shop/sa/cart", true},
        MatchCase{"service_accounts { namespace: 'other' service_account: 'cart' }", kClient, false},
        MatchCase{"service_accounts { namespace: 'shop' service_account: 'other' }", kClient, false},
        MatchCase{"not_service_accounts { namespace: 'shop' service_account: 'cart' }", kClient, false}));

INSTANTIATE_TEST_SUITE_P(
    Addresses, AuthorizerMatchTable,
    ::testing::Values(
        MatchCase{"source_ips { " + testing::TextPrefix("10.0.0.0/24") + " }", kClient, true},
        MatchCase{"source_ips { " + testing::TextPrefix("10.0.0.8/32") + " }", kClient, false},
        MatchCase{"not_source_ips { " + testing::TextPrefix("10.0.0.0/8") + " }", kClient, false},
        MatchCase{"not_source_ips { " + testing::TextPrefix("fd00::/8") + " }", kClient, true},
        MatchCase{"source_ips { " + testing::TextPrefix("::/0") + " }", kClient, false},
        MatchCase{"destination_ips { " + testing::TextPrefix("10.0.0.1/32") + " }", kClient, true},
        MatchCase{"not_destination_ips { " + testing::TextPrefix("10.0.0.1/32") + " }", kClient, false}));

INSTANTIATE_TEST_SUITE_P(Ports, AuthorizerMatchTable,
                         ::testing::Values(MatchCase{"destination_ports: 8080", kClient, true},
                                           MatchCase{"destination_ports: 80", kClient, false},
                                           MatchCase{"destination_ports: 80 destination_ports: 8080", kClient, true},
                                           MatchCase{"not_destination_ports: 8080", kClient, false},
                                           MatchCase{"not_destination_ports: 80", kClient, true}));

// ---- 5.4 HTTP rules at L4, as the control plane sends them

TEST(AuthorizerHttp, AllowRuleThatWasOmittedAllowsNothing) {
  EXPECT_FALSE(Allowed(*With({"name: 'http' namespace: 'default' scope: NAMESPACE action: ALLOW"})));
}

TEST(AuthorizerHttp, DenyRuleKeepsItsL4Attributes) {
  const StateRef state = With({Matching("DENY", "destination_ports: 8080")});
  EXPECT_FALSE(Allowed(*state));
  EXPECT_TRUE(Allowed(*state, {.port = 9090}));
}

// ---- 5.5 PeerAuthentication, in its converted forms

const std::string kStrict =
    "name: 'istio_converted_static_strict' namespace: 'istio-system' scope: WORKLOAD_SELECTOR action: DENY"
    " rules { clauses { matches { not_principals { presence {} } } } }";

TEST(AuthorizerPeerAuthentication, StrictDeniesPlaintextOnly) {
  const StateRef state = With({kStrict});
  EXPECT_TRUE(Allowed(*state));
  EXPECT_FALSE(Allowed(*state, {.identity = ""}));
}

TEST(AuthorizerPeerAuthentication, PermissiveIsTheAbsenceOfThatPolicy) {
  EXPECT_TRUE(Allowed(*With({}), {.identity = ""}));
}

TEST(AuthorizerPeerAuthentication, PortsMayBeExceptedFromStrict) {
  const StateRef state =
      With({"name: 'converted_peer_authentication_p' namespace: 'default' scope: WORKLOAD_SELECTOR action: "
            "DENY rules {"
            " clauses { matches { not_principals { presence {} } } } clauses { matches { "
            "not_destination_ports: 9090 } } }"});
  EXPECT_FALSE(Allowed(*state, {.port = 8080, .identity = ""}));
  EXPECT_TRUE(Allowed(*state, {.port = 9090, .identity = ""}));
  EXPECT_TRUE(Allowed(*state, {.port = 8080}));
}

TEST(AuthorizerPeerAuthentication, SinglePortsMayBeStrict) {
  const StateRef state = With(
      {"name: 'converted_peer_authentication_p' namespace: 'default' scope: WORKLOAD_SELECTOR action: DENY rules {"
       " clauses { matches { not_principals { presence {} } destination_ports: 8080 } } }"});
  EXPECT_FALSE(Allowed(*state, {.port = 8080, .identity = ""}));
  EXPECT_TRUE(Allowed(*state, {.port = 9090, .identity = ""}));
}

// ---- Closed where ztunnel is open

TEST(AuthorizerClosed, ReferenceToAnUnknownPolicyDenies) {
  const StateRef state = With({kAllowAll}, {"default/late"});
  const Verdict verdict = Ask(*state, {});
  EXPECT_FALSE(verdict.allowed);
  EXPECT_EQ(verdict.reason, VerdictReason::kPolicyUnknown);
  EXPECT_EQ(verdict.policy, "default/late");
}

TEST(AuthorizerClosed, MatchingDenyIsNamedRatherThanAnUnknownPolicy) {
  const StateRef state = With({kDenyAll}, {"default/late"});
  EXPECT_EQ(Ask(*state, {}).reason, VerdictReason::kDenyMatched);
}

TEST(AuthorizerClosed, PolicyThatNeverWasGoodDeniesItsScope) {
  for (const std::string_view scope : {"GLOBAL", "NAMESPACE", "WORKLOAD_SELECTOR"}) {
    World world;
    const auto broken = testing::MakePolicy(
        absl::StrCat("name: 'p' namespace: 'default' action: ALLOW scope: ", std::string(scope),
                     " rules { clauses { matches { destination_ports: 70000 } } }"));
    EXPECT_FALSE(world.builder().PutPolicy("default/p", broken).ok());
    world.AddPolicy(kAllowAll).Add(WorkloadOptions{.policies = {"default/p"}}).Ready();
    const StateRef state = world.Build();
    const Verdict verdict = Ask(*state, {});
    EXPECT_FALSE(verdict.allowed);
    EXPECT_EQ(verdict.reason, VerdictReason::kPolicyRefused) << scope;
  }
}

TEST(AuthorizerClosed, LastGoodVersionOfARefusedPolicyStays) {
  World world;
  world.AddPolicy(Matching("DENY", "destination_ports: 8080")).Add(WorkloadOptions{}).Ready();
  EXPECT_FALSE(
      world.builder().PutPolicy("default/p", testing::MakePolicy(Matching("DENY", "destination_ports: 70000"))).ok());
  const StateRef state = world.Build();
  EXPECT_FALSE(Allowed(*state));
  EXPECT_TRUE(Allowed(*state, {.port = 9090}));
}

TEST(AuthorizerClosed, NothingIsAllowedUntilTheStateIsThere) {
  World world;
  world.Add(WorkloadOptions{});
  EXPECT_EQ(Ask(*world.Build(), {}).reason, VerdictReason::kStateNotReady);
  world.builder().SetReceived(ResourceKind::kAddress);
  EXPECT_FALSE(Ask(*world.Build(), {}).allowed);
  world.builder().SetReceived(ResourceKind::kAuthorization);
  EXPECT_TRUE(Ask(*world.Build(), {}).allowed);
}

TEST(AuthorizerClosed, UnknownWorkloadIsDenied) {
  EXPECT_EQ(Ask(*With({}), {}, "nobody").reason, VerdictReason::kWorkloadUnknown);
}

// ---- Plaintext for every source

TEST(DeniesAllPlaintext, AsksForEverySourceAndPort) {
  const auto ask = [](const StateRef& state, std::optional<uint16_t> port = std::nullopt) {
    return DeniesAllPlaintext(*state, state->FindWorkload(WorkloadUid("Kubernetes//Pod/default/web-1")).get(), port);
  };
  EXPECT_FALSE(ask(With({})));
  EXPECT_TRUE(ask(With({kStrict})));
  EXPECT_TRUE(ask(With({kDenyAll})));
  EXPECT_TRUE(ask(With({}, {"default/late"})));
  EXPECT_TRUE(ask(With({Matching("ALLOW", "principals { presence {} }")})));
  EXPECT_TRUE(ask(With({Matching("ALLOW", "namespaces { exact: 'shop' } destination_ports: 8080")})));
  EXPECT_FALSE(ask(With({Matching("ALLOW", "destination_ports: 8080")}))) << "plaintext on 8080 is allowed";
  EXPECT_FALSE(ask(With({Matching("DENY", "source_ips { " + testing::TextPrefix("10.0.0.0/8") + " }")})));
  EXPECT_FALSE(ask(With({Matching("ALLOW", "source_ips { " + testing::TextPrefix("10.0.0.0/8") + " }")})));
  const StateRef port_strict = With({Matching("DENY", "not_principals { presence {} } destination_ports: 8080")});
  EXPECT_FALSE(ask(port_strict));
  EXPECT_TRUE(ask(port_strict, 8080));
  EXPECT_FALSE(ask(port_strict, 9090));
}

TEST(DeniesAllPlaintext, IsTrueUntilTheStateIsThere) {
  EXPECT_TRUE(DeniesAllPlaintext(*World().Build(), nullptr));
  EXPECT_TRUE(DeniesAllPlaintext(*World().Ready().Build(), nullptr));
}

}  // namespace
}  // namespace heddle::agent
