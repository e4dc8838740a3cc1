#include "agent/model/policy_index.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>

#include "lib/base/random.h"

namespace heddle::agent {
namespace {

// Policies of few values, so that they meet. Every kind of entry that an index must not mistake is among them.
class Policies {
 public:
  explicit Policies(uint64_t seed) : random_(seed) {}

  PolicyRef Make(int number) {
    Policy policy{.id = PolicyName(absl::StrCat("shop/p", number)), .name_space = "shop"};
    policy.action = random_.Below(2) == 0 ? PolicyAction::kAllow : PolicyAction::kDeny;
    policy.dry_run = random_.Below(10) == 0;
    if (random_.Below(20) == 0) policy.refusal = "bad";
    for (uint64_t i = random_.Below(4); i > 0; --i) policy.rules.push_back(MakeRule());
    return std::make_shared<const Policy>(std::move(policy));
  }

  Facts MakeFacts(std::string& account) {
    account = absl::StrCat("sa", random_.Below(4));
    principal_ = absl::StrCat("td/ns/", random_.Below(2) == 0 ? "a" : "b", "/sa/", account);
    Facts facts{.source = io::IpAddress::V4(10, 0, 0, static_cast<uint8_t>(random_.Below(4))),
                .destination = io::IpAddress::V4(10, 1, 0, 1),
                .destination_port = static_cast<uint16_t>(80 + random_.Below(3))};
    if (random_.Below(4) == 0) return facts;  // Plaintext.
    facts.identity.principal = principal_;
    facts.identity.name_space = std::string_view(principal_).substr(6, 1);
    facts.identity.service_account = account;
    return facts;
  }

  uint64_t Below(uint64_t limit) { return random_.Below(limit); }

 private:
  StringMatch MakeText() {
    const std::string account = absl::StrCat(random_.Below(4));
    switch (random_.Below(6)) {
      case 0: return {StringMatch::Kind::kPresence, ""};
      case 1: return {StringMatch::Kind::kPrefix, "td/ns/a"};
      case 2: return {StringMatch::Kind::kSuffix, "sa" + account};
      default:
        return {StringMatch::Kind::kExact,
                absl::StrCat("td/ns/", random_.Below(2) == 0 ? "a" : "b", "/sa/sa", account)};
    }
  }
  Match MakeMatch() {
    Match match;
    for (uint64_t i = random_.Below(3); i > 0; --i) match.principals.push_back(MakeText());
    if (random_.Below(4) == 0) match.not_principals.push_back(MakeText());
    if (random_.Below(4) == 0)
      match.namespaces.push_back({StringMatch::Kind::kExact, random_.Below(2) == 0 ? "a" : "b"});
    if (random_.Below(4) == 0)
      match.service_accounts.push_back({"a", absl::StrCat("sa", random_.Below(4))});
    if (random_.Below(4) == 0)
      match.destination_ports.push_back(static_cast<uint16_t>(80 + random_.Below(3)));
    if (random_.Below(6) == 0)
      match.not_destination_ports.push_back(static_cast<uint16_t>(80 + random_.Below(3)));
    if (random_.Below(4) == 0) match.source_ips.push_back(*io::IpPrefix::Parse("10.0.0.2/31"));
    return match;
  }
  Rule MakeRule() {
    Rule rule;
    for (uint64_t i = random_.Below(3); i > 0; --i) {
      Clause& clause = rule.clauses.emplace_back();
      for (uint64_t j = random_.Below(3); j > 0; --j) clause.matches.push_back(MakeMatch());
    }
    return rule;
  }

  SeededRandom random_;
  std::string principal_;
};

using All = std::map<int, PolicyRef>;

bool AnyMatches(const All& all, PolicyAction action, const Facts& facts) {
  for (const auto& [number, policy] : all) {
    const bool counts = !policy->dry_run && policy->refusal.empty() && policy->action == action;
    if (counts && Matches(*policy, facts) == Tri::kYes) return true;
  }
  return false;
}

size_t CountIf(const All& all, bool (*is)(const Policy&)) {
  size_t count = 0;
  for (const auto& [number, policy] : all) count += !policy->dry_run && is(*policy);
  return count;
}

void ExpectSameAsComparingAll(const PolicyIndex& index, const All& all, Policies& policies) {
  std::string account;
  for (int i = 0; i < 50; ++i) {
    const Facts facts = policies.MakeFacts(account);
    for (const PolicyAction action : {PolicyAction::kDeny, PolicyAction::kAllow}) {
      const Policy* found = index.FindMatch("shop", action, facts);
      ASSERT_EQ(found != nullptr, AnyMatches(all, action, facts));
      if (found == nullptr) continue;
      ASSERT_EQ(found->action, action);
      ASSERT_EQ(Matches(*found, facts), Tri::kYes);
    }
    ASSERT_EQ(index.FindMatch("other", PolicyAction::kDeny, facts), nullptr);
  }
  const auto refused = [](const Policy& policy) { return !policy.refusal.empty(); };
  const auto allows = [](const Policy& policy) {
    return policy.refusal.empty() && policy.action == PolicyAction::kAllow;
  };
  const auto plain = [](const Policy& policy) {
    return policy.refusal.empty() && Matches(policy, Facts()) != Tri::kNo;
  };
  ASSERT_EQ(index.Refused("shop").size(), CountIf(all, refused));
  ASSERT_EQ(index.HasAllow("shop"), CountIf(all, allows) > 0);
  ASSERT_EQ(index.ForPlaintext("shop").size(), CountIf(all, plain));
}

TEST(PolicyIndex, FindsWhatComparingWithAllPoliciesFinds) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE(seed);
    Policies policies(seed);
    PolicyIndex index;
    All all;
    EditId edit = 1;
    for (int round = 0; round < 30; ++round, ++edit) {
      for (uint64_t i = policies.Below(4); i > 0; --i) {
        const int number = static_cast<int>(policies.Below(12));
        if (const auto old = all.find(number); old != all.end()) {
          index.Remove(edit, *old->second, "shop");
          all.erase(old);
        }
        if (policies.Below(3) == 0) continue;
        all[number] = policies.Make(number);
        index.Add(edit, all[number], "shop");
      }
      const PolicyIndex published = index;  // Is not changed by what comes after.
      ASSERT_NO_FATAL_FAILURE(ExpectSameAsComparingAll(published, all, policies));
    }
  }
}

TEST(PolicyIndex, ACopyStaysAsItWas) {
  const auto policy =
      std::make_shared<const Policy>(Policy{.id = PolicyName("shop/p"), .rules = {Rule{}}});
  PolicyIndex index;
  index.Add(1, policy, "shop");
  const PolicyIndex before = index;
  index.Remove(2, *policy, "shop");
  EXPECT_EQ(before.FindMatch("shop", PolicyAction::kAllow, {}), policy.get());
  EXPECT_EQ(index.FindMatch("shop", PolicyAction::kAllow, {}), nullptr);
  EXPECT_FALSE(index.HasAllow("shop"));
}

}  // namespace
}  // namespace heddle::agent
