#include "agent/policy/authorizer.h"

#include "agent/model/match.h"

namespace heddle::agent {
namespace {

// What the policies that select a workload say. `maybe_*` stay false when all facts are known.
class Tally {
 public:
  explicit Tally(const Facts& facts) : facts_(facts) {}

  void Add(const Policy& policy) {
    if (policy.dry_run) return;
    if (!policy.refusal.empty()) return AddRefused(policy);
    if (policy.action == PolicyAction::kAllow) AddAllow();
    AddMatch(policy, Matches(policy, facts_));
  }
  void AddRefused(const Policy& policy) {
    Keep(broken_, false, VerdictReason::kPolicyRefused, policy.id);
  }
  void AddUnknown(const PolicyName& name) {
    Keep(broken_, false, VerdictReason::kPolicyUnknown, name);
  }
  // There is an ALLOW policy, whether it matches or not.
  void AddAllow() { has_allow_ = true; }
  void AddMatch(const Policy& policy, Tri match) {
    const bool deny = policy.action == PolicyAction::kDeny;
    if (match == Tri::kYes && deny) Keep(denied_, false, VerdictReason::kDenyMatched, policy.id);
    if (match == Tri::kYes && !deny) Keep(allowed_, true, VerdictReason::kAllowMatched, policy.id);
    if (match == Tri::kMaybe && !deny) maybe_allowed_ = true;
  }
  // The rest changes nothing.
  bool settled() const { return denied_.has_value(); }

  Verdict Result() const {
    if (denied_.has_value()) return *denied_;
    if (broken_.has_value()) return *broken_;
    if (!has_allow_) return {true, VerdictReason::kNoAllowPolicy, {}};
    if (allowed_.has_value()) return *allowed_;
    // With open facts: somebody may be allowed, so not everybody is denied.
    return {maybe_allowed_, VerdictReason::kNoAllowMatched, {}};
  }

 private:
  static void Keep(std::optional<Verdict>& slot, bool allowed, VerdictReason reason,
                   const PolicyName& policy) {
    if (!slot.has_value()) slot = Verdict{allowed, reason, policy.ToString()};
  }

  const Facts& facts_;
  std::optional<Verdict> denied_, broken_, allowed_;
  bool has_allow_ = false;
  bool maybe_allowed_ = false;
};

// Policies that apply by scope, with all facts known.
void AddScope(const PolicyIndex& index, std::string_view scope, const Facts& facts, Tally& tally) {
  for (const PolicyRef& policy : index.Refused(scope)) tally.AddRefused(*policy);
  if (index.HasAllow(scope)) tally.AddAllow();
  for (const PolicyAction action : {PolicyAction::kDeny, PolicyAction::kAllow}) {
    if (tally.settled()) return;
    if (const Policy* policy = index.FindMatch(scope, action, facts))
      tally.AddMatch(*policy, Tri::kYes);
  }
}

// The same for connections without identity of which nothing else need be known.
void AddScopeForPlaintext(const PolicyIndex& index, std::string_view scope, const Facts& facts,
                          Tally& tally) {
  for (const PolicyRef& policy : index.Refused(scope)) tally.AddRefused(*policy);
  if (index.HasAllow(scope)) tally.AddAllow();
  for (const PolicyRef& policy : index.ForPlaintext(scope))
    tally.AddMatch(*policy, Matches(*policy, facts));
}

using AddScopeTo = void (*)(const PolicyIndex&, std::string_view, const Facts&, Tally&);

Verdict Judge(const State& state, const Workload* destination, const Facts& facts,
              AddScopeTo add_scope) {
  if (!state.ready()) return {false, VerdictReason::kStateNotReady, {}};
  if (destination == nullptr) return {false, VerdictReason::kWorkloadUnknown, {}};
  Tally tally(facts);
  add_scope(state.policy_index(), "", facts, tally);
  if (!destination->name_space.empty())
    add_scope(state.policy_index(), destination->name_space, facts, tally);
  for (const PolicyName& name : destination->authorization_policies) {
    if (tally.settled()) break;
    if (const Policy* policy = state.FindPolicyOrNull(name)) {
      tally.Add(*policy);
    } else {
      tally.AddUnknown(name);
    }
  }
  return tally.Result();
}

}  // namespace

std::string_view ToString(VerdictReason reason) {
  switch (reason) {
    case VerdictReason::kNoAllowPolicy: return "no ALLOW policy selects the workload";
    case VerdictReason::kAllowMatched: return "an ALLOW policy matched";
    case VerdictReason::kDenyMatched: return "a DENY policy matched";
    case VerdictReason::kNoAllowMatched: return "no ALLOW policy matched";
    case VerdictReason::kPolicyUnknown: return "the workload refers to a policy that is not known";
    case VerdictReason::kPolicyRefused: return "a policy was refused and never was good";
    case VerdictReason::kStateNotReady: return "the control plane's state has not arrived yet";
    case VerdictReason::kWorkloadUnknown: return "the control plane does not know the workload";
  }
  return "unknown";
}

Verdict Decide(const State& state, const Workload* destination, const ConnectionFacts& facts) {
  return Judge(state, destination,
               {.source = facts.source,
                .destination = facts.destination,
                .destination_port = facts.destination_port,
                .identity = IdentityText(facts.identity)},
               AddScope);
}

bool DeniesAllPlaintext(const State& state, const Workload* destination,
                        std::optional<uint16_t> port) {
  return !Judge(state, destination, {.destination_port = port}, AddScopeForPlaintext).allowed;
}

}  // namespace heddle::agent
