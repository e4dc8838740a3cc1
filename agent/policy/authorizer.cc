#include "agent/policy/authorizer.h"

#include "agent/policy/match.h"

namespace heddle::agent {
namespace {

// What the policies that select a workload say. `maybe_*` stay false when all facts are known.
class Tally {
 public:
  explicit Tally(const Facts& facts) : facts_(facts) {}

  void Add(const Policy& policy) {
    if (policy.dry_run) return;
    if (!policy.refusal.empty()) {
      Keep(broken_, {false, VerdictReason::kPolicyRefused, policy.id.ToString()});
    } else if (policy.action == PolicyAction::kDeny) {
      if (denied_.has_value()) return;
      if (Matches(policy, facts_) == Tri::kYes)
        Keep(denied_, {false, VerdictReason::kDenyMatched, policy.id.ToString()});
    } else {
      has_allow_ = true;
      if (allowed_.has_value()) return;
      const Tri match = Matches(policy, facts_);
      if (match == Tri::kYes) Keep(allowed_, {true, VerdictReason::kAllowMatched, policy.id.ToString()});
      if (match == Tri::kMaybe) maybe_allowed_ = true;
    }
  }
  void AddUnknown(const PolicyName& name) { Keep(broken_, {false, VerdictReason::kPolicyUnknown, name.ToString()}); }

  Verdict Result() const {
    if (denied_.has_value()) return *denied_;
    if (broken_.has_value()) return *broken_;
    if (!has_allow_) return {true, VerdictReason::kNoAllowPolicy, {}};
    if (allowed_.has_value()) return *allowed_;
    // With open facts: somebody may be allowed, so not everybody is denied.
    return {maybe_allowed_, VerdictReason::kNoAllowMatched, {}};
  }

 private:
  static void Keep(std::optional<Verdict>& slot, const Verdict& verdict) {
    if (!slot.has_value()) slot = verdict;
  }

  const Facts& facts_;
  std::optional<Verdict> denied_, broken_, allowed_;
  bool has_allow_ = false;
  bool maybe_allowed_ = false;
};

Verdict Judge(const State& state, const Workload* destination, const Facts& facts) {
  if (!state.ready()) return {false, VerdictReason::kStateNotReady, {}};
  if (destination == nullptr) return {false, VerdictReason::kWorkloadUnknown, {}};
  Tally tally(facts);
  for (const PolicyRef& policy : state.global_policies()) tally.Add(*policy);
  for (const PolicyRef& policy : state.namespace_policies(destination->name_space)) tally.Add(*policy);
  for (const PolicyName& name : destination->authorization_policies) {
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
                .identity = IdentityText(facts.identity)});
}

bool DeniesAllPlaintext(const State& state, const Workload* destination, std::optional<uint16_t> port) {
  return !Judge(state, destination, {.destination_port = port}).allowed;
}

}  // namespace heddle::agent
