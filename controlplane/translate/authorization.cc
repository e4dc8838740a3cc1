#include "controlplane/translate/authorization.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

namespace heddle::controlplane::translate {
namespace {

namespace wire = istio::security;
using Action = api::AuthorizationPolicy::Action;
using api::PolicyMatch;
using api::PolicyRule;
using api::StringPattern;
using WireStrings = google::protobuf::RepeatedPtrField<wire::StringMatch>;
using WireBlocks = google::protobuf::RepeatedPtrField<wire::Address>;
using WireAccounts = google::protobuf::RepeatedPtrField<wire::ServiceAccountMatch>;

void SetStrings(const std::vector<StringPattern>& patterns, WireStrings* out) {
  for (const StringPattern& pattern : patterns) {
    wire::StringMatch* match = out->Add();
    switch (pattern.kind) {
      case StringPattern::Kind::kExact: match->set_exact(pattern.value); break;
      case StringPattern::Kind::kPrefix: match->set_prefix(pattern.value); break;
      case StringPattern::Kind::kSuffix: match->set_suffix(pattern.value); break;
      case StringPattern::Kind::kPresence: match->mutable_presence(); break;
    }
  }
}

void SetBlocks(const std::vector<io::IpPrefix>& blocks, WireBlocks* out) {
  for (const io::IpPrefix& block : blocks) {
    const std::span<const uint8_t> bytes = block.address().native_bytes();
    wire::Address* address = out->Add();
    address->set_address(std::string(bytes.begin(), bytes.end()));
    address->set_length(block.length());
  }
}

void SetAccounts(const std::vector<api::NamespacedName>& accounts, WireAccounts* out) {
  for (const api::NamespacedName& account : accounts) {
    wire::ServiceAccountMatch* match = out->Add();
    match->set_namespace_(account.name_space);
    match->set_service_account(account.name);
  }
}

void SetMatch(const PolicyMatch& match, wire::Match& out) {
  SetStrings(match.principals, out.mutable_principals());
  SetStrings(match.not_principals, out.mutable_not_principals());
  SetStrings(match.namespaces, out.mutable_namespaces());
  SetStrings(match.not_namespaces, out.mutable_not_namespaces());
  SetAccounts(match.service_accounts, out.mutable_service_accounts());
  SetAccounts(match.not_service_accounts, out.mutable_not_service_accounts());
  SetBlocks(match.source_ips, out.mutable_source_ips());
  SetBlocks(match.not_source_ips, out.mutable_not_source_ips());
  SetBlocks(match.destination_ips, out.mutable_destination_ips());
  SetBlocks(match.not_destination_ips, out.mutable_not_destination_ips());
  out.mutable_destination_ports()->Add(match.ports.begin(), match.ports.end());
  out.mutable_not_destination_ports()->Add(match.not_ports.begin(), match.not_ports.end());
}

// A clause of alternatives. On the wire an empty match never matches; here it stands for one whose
// attributes all need HTTP, which must count as matching, and then so does the whole clause: it is
// left out.
void AddClause(const std::vector<PolicyMatch>& matches, wire::Rule& rule) {
  if (matches.empty() || std::any_of(matches.begin(), matches.end(),
                                     [](const PolicyMatch& m) { return m.EmptyAtL4(); })) {
    return;
  }
  wire::Clause* clause = rule.add_clauses();
  for (const PolicyMatch& match : matches) SetMatch(match, *clause->add_matches());
}

void AddRule(const PolicyRule& rule, wire::Authorization& out) {
  wire::Rule& message = *out.add_rules();
  AddClause(rule.to, message);
  AddClause(rule.from, message);
  for (const PolicyMatch& condition : rule.when) AddClause({condition}, message);
}

void AddNote(api::ObjectStatus& status, std::string note) {
  absl::StrAppend(&status.note, status.note.empty() ? "" : "; ", note);
}

void AddRules(const api::AuthorizationPolicy& policy, wire::Authorization& out,
              api::ObjectStatus& status) {
  for (size_t i = 0; i < policy.rules.size(); ++i) {
    const PolicyRule& rule = policy.rules[i];
    if (policy.action == Action::kAllow && rule.NeedsHttp()) {
      AddNote(status, absl::StrCat("rules[", i, "] needs HTTP and allows nothing"));
      continue;
    }
    if (rule.NeedsHttp())
      AddNote(status, absl::StrCat("rules[", i, "] denies regardless of its HTTP attributes"));
    AddRule(rule, out);
  }
}

bool IsForL4(const api::AuthorizationPolicy& policy) {
  return !policy.has_target_refs && policy.action != Action::kAudit;
}

}  // namespace

std::optional<wire::Authorization> TranslatePolicy(const api::AuthorizationPolicy& policy,
                                                   const MeshOptions& options,
                                                   api::ObjectStatus& status) {
  if (policy.has_target_refs)
    AddNote(status, "targetRefs name waypoints or gateways, which are not there: no effect");
  if (policy.action == Action::kAudit) AddNote(status, "AUDIT has no effect");
  status.effective = IsForL4(policy);
  if (!status.effective) return std::nullopt;

  wire::Authorization message;
  message.set_name(policy.meta.name);
  message.set_namespace_(policy.meta.name_space);
  message.set_action(policy.action == Action::kDeny ? wire::DENY : wire::ALLOW);
  message.set_dry_run(policy.dry_run);
  if (!policy.selector.empty()) {
    message.set_scope(wire::WORKLOAD_SELECTOR);
  } else {
    message.set_scope(policy.meta.name_space == options.root_namespace ? wire::GLOBAL
                                                                       : wire::NAMESPACE);
  }
  if (policy.stand_in) AddNote(status, "was refused and never good: denies everything it selects");
  if (policy.dry_run) AddNote(status, "dry run: not enforced");
  AddRules(policy, message, status);
  return message;
}

Resource PolicyResource(const wire::Authorization& message) {
  return MakeResource(absl::StrCat(message.namespace_(), "/", message.name()), message);
}

bool SelectsWorkloads(const api::AuthorizationPolicy& policy) {
  return IsForL4(policy) && !policy.selector.empty();
}

PolicySelectors::PolicySelectors(const api::ObjectStore& objects, const MeshOptions& options)
    : options_(options) {
  for (const auto& [name, policy] : objects.All<api::AuthorizationPolicy>()) {
    if (SelectsWorkloads(*policy)) by_namespace_[name.name_space].push_back(policy.get());
  }
}

void PolicySelectors::AppendMatching(const std::string& name_space, const api::Pod& pod,
                                     std::vector<std::string>& policies) const {
  const auto found = by_namespace_.find(name_space);
  if (found == by_namespace_.end()) return;
  for (const api::AuthorizationPolicy* policy : found->second) {
    if (api::Selects(policy->selector, pod.meta.labels))
      policies.push_back(api::NameOf(policy->meta).ToString());
  }
}

void PolicySelectors::AppendFor(const api::Pod& pod, std::vector<std::string>& policies) const {
  AppendMatching(pod.meta.name_space, pod, policies);
  if (pod.meta.name_space != options_.root_namespace)
    AppendMatching(options_.root_namespace, pod, policies);
}

}  // namespace heddle::controlplane::translate
