#include <absl/strings/str_cat.h>

#include "controlplane/api/decode_kinds.h"

namespace heddle::controlplane::api {
namespace {

using Action = AuthorizationPolicy::Action;

Action DecodeAction(TreeReader& spec) {
  const Tree* tree = spec.Find("action");
  if (tree == nullptr) return Action::kAllow;
  const bool number = tree->kind == Tree::Kind::kPlain;
  if (!tree->is_scalar()) {
    spec.Fail(tree->line, "spec.action must be ALLOW, DENY or AUDIT");
  } else if (tree->text == "ALLOW" || (number && tree->text == "0")) {
    return Action::kAllow;
  } else if (tree->text == "DENY" || (number && tree->text == "1")) {
    return Action::kDeny;
  } else if (tree->text == "AUDIT" || (number && tree->text == "2")) {
    return Action::kAudit;
  } else if (tree->text == "CUSTOM" || (number && tree->text == "3")) {
    spec.Fail(tree->line,
              "spec.action CUSTOM needs an external authorizer, which is not supported");
  } else {
    spec.Fail(tree->line, "spec.action must be ALLOW, DENY or AUDIT");
  }
  return Action::kDeny;
}

// `wrapper` holds the one field that each element of from and to consists of.
std::vector<PolicyMatch> DecodeAlternatives(TreeReader& rule, std::string_view list,
                                            std::string_view wrapper, std::string_view name_space) {
  std::vector<PolicyMatch> matches;
  bool present = false;
  for (TreeReader& element : rule.Children(list, &present)) {
    TreeReader inner = element.Child(wrapper);
    if (!inner.present())
      element.Fail(element.line(), absl::StrCat(element.path(), " has no ", std::string(wrapper)));
    matches.push_back(wrapper == "source" ? DecodeSource(std::move(inner), name_space)
                                          : DecodeOperation(std::move(inner)));
    element.RefuseUnknown();
  }
  // An empty list would silently mean "no constraint".
  if (present && matches.empty())
    rule.Fail(rule.line(), absl::StrCat(rule.PathOf(list), " is empty"));
  return matches;
}

PolicyRule DecodeRule(TreeReader& reader, std::string_view name_space) {
  PolicyRule rule;
  rule.from = DecodeAlternatives(reader, "from", "source", name_space);
  rule.to = DecodeAlternatives(reader, "to", "operation", name_space);
  bool present = false;
  for (TreeReader& condition : reader.Children("when", &present)) {
    rule.when.push_back(DecodeCondition(std::move(condition), name_space));
  }
  if (present && rule.when.empty())
    reader.Fail(reader.line(), absl::StrCat(reader.PathOf("when"), " is empty"));
  reader.RefuseUnknown();
  return rule;
}

size_t Entries(const std::vector<PolicyMatch>& matches) {
  size_t entries = matches.size();
  for (const PolicyMatch& m : matches) {
    entries += m.principals.size() + m.not_principals.size() + m.namespaces.size() +
               m.not_namespaces.size() + m.service_accounts.size() + m.not_service_accounts.size() +
               m.source_ips.size() + m.not_source_ips.size() + m.destination_ips.size() +
               m.not_destination_ips.size() + m.ports.size() + m.not_ports.size();
  }
  return entries;
}

void DecodeRules(TreeReader& spec, AuthorizationPolicy& policy) {
  std::vector<TreeReader> readers = spec.Children("rules");
  if (readers.size() > kMaxPolicyRules)
    return spec.Fail(spec.line(), "spec.rules has more than 512 rules");
  if (readers.empty() && policy.action != Action::kAllow) {
    spec.Fail(spec.line(), "spec.rules is missing: only an ALLOW policy may have none");
  }
  size_t entries = 0;
  for (TreeReader& reader : readers) {
    const PolicyRule& rule = policy.rules.emplace_back(DecodeRule(reader, policy.meta.name_space));
    entries += Entries(rule.from) + Entries(rule.to) + Entries(rule.when);
    // Without its HTTP attributes this rule would deny everything, which its author did not write,
    // and with them nothing can be decided: not enforced as something else, but refused.
    if (policy.action == Action::kDeny && rule.NeedsHttp() && rule.MatchesAllAtL4()) {
      reader.Fail(reader.line(),
                  absl::StrCat(reader.path(),
                               " denies by HTTP attributes alone, which this proxy does not "
                               "see: add a source or a port, or remove the rule"));
    }
  }
  if (entries > kMaxPolicyEntries)
    spec.Fail(spec.line(),
              absl::StrCat("spec.rules has more than ", kMaxPolicyEntries, " entries"));
}

bool DecodeTargetRefs(TreeReader& spec) {
  bool present = spec.Find("targetRef") != nullptr;
  std::vector<TreeReader> references = spec.Children("targetRefs");
  present |= !references.empty();
  for (TreeReader& reference : references) {
    reference.Skip({"group", "kind", "name", "namespace", "sectionName"});
    reference.RefuseUnknown();
  }
  return present;
}

}  // namespace

bool DecodeDryRun(const ObjectMeta& meta, TreeReader& object) {
  const std::string_view value = meta.Annotation("istio.io/dry-run");
  if (!value.empty() && value != "true" && value != "false") {
    object.Fail(object.line(), "annotation istio.io/dry-run must be \"true\" or \"false\"");
  }
  return value == "true";
}

AuthorizationPolicy DecodeAuthorizationPolicy(TreeReader& object) {
  AuthorizationPolicy policy{.meta = DecodeMeta(object, true)};
  policy.dry_run = DecodeDryRun(policy.meta, object);
  TreeReader spec = object.Child("spec");
  policy.selector = DecodeSelector(spec);
  policy.has_target_refs = DecodeTargetRefs(spec);
  if (policy.has_target_refs && !policy.selector.empty()) {
    spec.Fail(spec.line(), "spec has both selector and targetRefs: at most one may be set");
  }
  policy.action = DecodeAction(spec);
  if (const Tree* provider = spec.Find("provider"); provider != nullptr) {
    spec.Fail(provider->line, "spec.provider is for action CUSTOM, which is not supported");
  }
  DecodeRules(spec, policy);
  spec.RefuseUnknown();
  return policy;
}

}  // namespace heddle::controlplane::api
