#include "agent/model/policy_index.h"

#include <absl/hash/hash.h>

#include <algorithm>
#include <optional>

#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

// A value under which a rule stands; the second part is a service account's name.
struct Value {
  RuleKey key = RuleKey::kNone;
  std::string_view text, detail;
  uint16_t port = 0;
};
using Values = std::vector<Value>;

uint64_t HashOf(std::string_view scope, PolicyAction action, const Value& value) {
  return absl::HashOf(ToAbsl(scope), action, value.key, ToAbsl(value.text), ToAbsl(value.detail),
                      value.port);
}

// Every entry by its exact text, or none.
std::optional<Values> ExactTexts(const std::vector<StringMatch>& entries, RuleKey key) {
  Values values;
  for (const StringMatch& entry : entries) {
    if (entry.kind != StringMatch::Kind::kExact) return std::nullopt;
    values.push_back({.key = key, .text = entry.value});
  }
  if (values.empty()) return std::nullopt;
  return values;
}

// Values of which every connection that the match takes has one. The most telling attribute first.
std::optional<Values> ValuesOf(const Match& match) {
  if (match.empty()) return Values();  // Never matches.
  if (auto principals = ExactTexts(match.principals, RuleKey::kPrincipal)) return principals;
  Values values;
  for (const ServiceAccountMatch& account : match.service_accounts) {
    values.push_back({.key = RuleKey::kServiceAccount,
                      .text = account.name_space,
                      .detail = account.service_account});
  }
  if (!values.empty()) return values;
  if (auto namespaces = ExactTexts(match.namespaces, RuleKey::kNamespace)) return namespaces;
  for (const uint16_t port : match.destination_ports)
    values.push_back({.key = RuleKey::kPort, .port = port});
  if (values.empty()) return std::nullopt;
  return values;
}

std::optional<Values> ValuesOf(const Clause& clause) {
  if (clause.matches.empty()) return std::nullopt;
  Values all;
  for (const Match& match : clause.matches) {
    const auto values = ValuesOf(match);
    if (!values.has_value()) return std::nullopt;
    all.insert(all.end(), values->begin(), values->end());
  }
  return all;
}

// How little a clause's values tell; a port is shared by many rules.
size_t Vagueness(const Values& values) {
  RuleKey vaguest = RuleKey::kNone;
  for (const Value& value : values) vaguest = std::max(vaguest, value.key);
  return static_cast<size_t>(vaguest);
}

// Of the clause that tells most, since all of them must hold.
Values ValuesOf(const Rule& rule) {
  std::optional<Values> best;
  for (const Clause& clause : rule.clauses) {
    auto values = ValuesOf(clause);
    if (!values.has_value()) continue;
    if (!best.has_value() || Vagueness(*values) < Vagueness(*best)) best = std::move(values);
  }
  return best.has_value() ? *std::move(best) : Values{Value{}};
}

size_t Index(PolicyAction action) { return static_cast<size_t>(action); }
size_t Index(RuleKey key) { return static_cast<size_t>(key); }

}  // namespace

std::vector<PolicyIndex::Place> PolicyIndex::PlacesOf(const Rule& rule, PolicyAction action,
                                                      std::string_view scope) {
  std::vector<Place> places;
  for (const Value& value : ValuesOf(rule))
    places.push_back({HashOf(scope, action, value), value.key});
  // A value may be named twice. Two keys with one hash are two places, as each key is counted.
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  return places;
}

void PolicyIndex::Add(EditId edit, const PolicyRef& policy, const std::string& scope) {
  if (policy->dry_run) return;
  if (!policy->refusal.empty()) return AddMember(refused_, edit, scope, policy);
  if (Matches(*policy, Facts()) != Tri::kNo) AddMember(plaintext_, edit, scope, policy);
  Counts& counts = counts_.Mutable(edit, scope);
  ++counts.policies;
  if (policy->action == PolicyAction::kAllow) ++counts.allow;
  for (uint32_t rule = 0; rule < policy->rules.size(); ++rule) {
    for (const Place& place : PlacesOf(policy->rules[rule], policy->action, scope)) {
      AddMember(rules_, edit, place.hash, IndexedRule{policy, rule});
      ++counts.rules[Index(policy->action)][Index(place.key)];
    }
  }
}

void PolicyIndex::Remove(EditId edit, const Policy& policy, const std::string& scope) {
  if (policy.dry_run) return;
  const auto is = [&policy](const PolicyRef& member) { return member.get() == &policy; };
  if (!policy.refusal.empty()) return RemoveMembers(refused_, edit, scope, is);
  RemoveMembers(plaintext_, edit, scope, is);
  Counts& counts = counts_.Mutable(edit, scope);
  if (policy.action == PolicyAction::kAllow) --counts.allow;
  for (const Rule& rule : policy.rules) {
    for (const Place& place : PlacesOf(rule, policy.action, scope)) {
      RemoveMembers(rules_, edit, place.hash, [&policy](const IndexedRule& member) {
        return member.policy.get() == &policy;
      });
      --counts.rules[Index(policy.action)][Index(place.key)];
    }
  }
  if (--counts.policies == 0) counts_.Erase(edit, scope);
}

const Policy* PolicyIndex::FindAt(uint64_t hash, const Facts& facts) const {
  for (const IndexedRule& each : FindMembers(rules_, hash)) {
    if (Matches(each.policy->rules[each.rule], facts) == Tri::kYes) return each.policy.get();
  }
  return nullptr;
}

const Policy* PolicyIndex::FindMatch(std::string_view scope, PolicyAction action,
                                     const Facts& facts) const {
  const Counts* counts = counts_.Find(scope);
  if (counts == nullptr) return nullptr;
  const IdentityText& id = facts.identity;
  const std::array<Value, kRuleKeys> values = {{
      {},
      {.key = RuleKey::kPrincipal, .text = id.principal},
      {.key = RuleKey::kServiceAccount, .text = id.name_space, .detail = id.service_account},
      {.key = RuleKey::kNamespace, .text = id.name_space},
      {.key = RuleKey::kPort, .port = facts.destination_port.value_or(0)},
  }};
  for (const Value& value : values) {
    if (counts->rules[Index(action)][Index(value.key)] == 0) continue;
    if (const Policy* policy = FindAt(HashOf(scope, action, value), facts)) return policy;
  }
  return nullptr;
}

bool PolicyIndex::HasAllow(std::string_view scope) const {
  const Counts* counts = counts_.Find(scope);
  return counts != nullptr && counts->allow > 0;
}

}  // namespace heddle::agent
