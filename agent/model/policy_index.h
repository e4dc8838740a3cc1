#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/group.h"
#include "agent/model/match.h"
#include "agent/model/policy.h"

namespace heddle::agent {

// By what the rules of policies are looked up.
enum class RuleKey : uint8_t { kNone, kPrincipal, kServiceAccount, kNamespace, kPort };
inline constexpr size_t kRuleKeys = 5;

// The policies that apply by scope (a namespace, or "" for the whole mesh), so arranged that a connection is compared
// with the rules that may match it and not with all. Each rule stands under values that a connection must have one
// of to be matched: the exact principals, service accounts, namespaces or ports of one of its clauses; a rule
// without such a clause stands under no value and is compared with every connection. Dry-run policies are left out.
//
// A value like PersistentMap: copies share what they have in common, a change costs O(rules of the policy).
class PolicyIndex {
 public:
  void Add(EditId edit, const PolicyRef& policy, const std::string& scope);
  // As it was added.
  void Remove(EditId edit, const Policy& policy, const std::string& scope);

  // A policy of that action with a rule that matches; nullptr: none does. The facts are all known.
  const Policy* FindMatch(std::string_view scope, PolicyAction action, const Facts& facts) const;
  bool HasAllow(std::string_view scope) const;
  // Policies that were refused and never were good.
  const std::vector<PolicyRef>& Refused(std::string_view scope) const {
    return FindMembers(refused_, scope);
  }
  // Those that may match a connection without identity; all others cannot.
  const std::vector<PolicyRef>& ForPlaintext(std::string_view scope) const {
    return FindMembers(plaintext_, scope);
  }

 private:
  // Of one scope: what is there at all, so that no lookup is made for what is not.
  struct Counts {
    uint32_t policies = 0;
    uint32_t allow = 0;
    std::array<std::array<uint32_t, kRuleKeys>, 2>
        rules{};  // By action and key: places that rules stand in.
  };
  struct Place {
    uint64_t hash = 0;
    RuleKey key = RuleKey::kNone;
    auto operator<=>(const Place&) const = default;
  };
  struct IndexedRule {
    PolicyRef policy;
    uint32_t rule = 0;
  };
  static std::vector<Place> PlacesOf(const Rule& rule, PolicyAction action, std::string_view scope);
  const Policy* FindAt(uint64_t hash, const Facts& facts) const;

  PersistentMap<std::string, Counts> counts_;
  // By hash of scope, action, key and value. Two values with one hash share a place: rules are compared anyway.
  GroupMap<uint64_t, IndexedRule> rules_;
  GroupMap<std::string, PolicyRef> refused_;
  GroupMap<std::string, PolicyRef> plaintext_;
};

}  // namespace heddle::agent
