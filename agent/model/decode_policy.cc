#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/model/decode.h"
#include "agent/model/decode_values.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

// Where ztunnel drops what it cannot read (a string match without a kind, a bad block, a port above 65535), an
// entry vanishes and with it possibly the last constraint of a list. Here the whole policy is refused instead.
namespace heddle::agent {
namespace {

namespace wire = istio::security;

using WireStrings = google::protobuf::RepeatedPtrField<wire::StringMatch>;
using WireAddresses = google::protobuf::RepeatedPtrField<wire::Address>;
using WireAccounts = google::protobuf::RepeatedPtrField<wire::ServiceAccountMatch>;
using WirePorts = google::protobuf::RepeatedField<uint32_t>;

absl::Status DecodeStrings(const WireStrings& messages, std::string_view what, std::vector<StringMatch>& out) {
  for (const wire::StringMatch& message : messages) {
    StringMatch match;
    switch (message.match_type_case()) {
      case wire::StringMatch::kExact: match = {StringMatch::Kind::kExact, message.exact()}; break;
      case wire::StringMatch::kPrefix: match = {StringMatch::Kind::kPrefix, message.prefix()}; break;
      case wire::StringMatch::kSuffix: match = {StringMatch::Kind::kSuffix, message.suffix()}; break;
      case wire::StringMatch::kPresence: match = {StringMatch::Kind::kPresence, ""}; break;
      case wire::StringMatch::MATCH_TYPE_NOT_SET:
        return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), " has an entry of no known kind"));
    }
    if (match.value.empty() && match.kind != StringMatch::Kind::kPresence) {
      return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), " has an empty string"));
    }
    out.push_back(std::move(match));
  }
  return absl::OkStatus();
}

absl::Status DecodePrefixes(const WireAddresses& messages, std::string_view what, std::vector<io::IpPrefix>& out) {
  for (const wire::Address& message : messages) {
    TRY_ASSIGN(const io::IpPrefix prefix, DecodePrefix(message.address(), message.length(), what));
    out.push_back(prefix);
  }
  return absl::OkStatus();
}

absl::Status DecodePortList(const WirePorts& messages, std::string_view what, std::vector<uint16_t>& out) {
  for (const uint32_t message : messages) {
    TRY_ASSIGN(const uint16_t port, DecodePort(message, what));
    out.push_back(port);
  }
  return absl::OkStatus();
}

absl::Status DecodeAccounts(const WireAccounts& messages, std::string_view what,
                            std::vector<ServiceAccountMatch>& out) {
  for (const wire::ServiceAccountMatch& message : messages) {
    if (message.namespace_().empty() || message.service_account().empty()) {
      return absl::InvalidArgumentError(absl::StrCat(ToAbsl(what), " has an entry without namespace or name"));
    }
    out.push_back({message.namespace_(), message.service_account()});
  }
  return absl::OkStatus();
}

absl::StatusOr<Match> DecodeMatch(const wire::Match& message) {
  // An attribute of a newer control plane: without it the match would be wider than meant.
  if (!message.GetReflection()->GetUnknownFields(message).empty()) {
    return absl::InvalidArgumentError("a match has attributes that this version does not know");
  }
  Match match;
  TRY_STATUS(DecodeStrings(message.namespaces(), "namespaces", match.namespaces));
  TRY_STATUS(DecodeStrings(message.not_namespaces(), "not_namespaces", match.not_namespaces));
  TRY_STATUS(DecodeStrings(message.principals(), "principals", match.principals));
  TRY_STATUS(DecodeStrings(message.not_principals(), "not_principals", match.not_principals));
  TRY_STATUS(DecodeAccounts(message.service_accounts(), "service_accounts", match.service_accounts));
  TRY_STATUS(DecodeAccounts(message.not_service_accounts(), "not_service_accounts", match.not_service_accounts));
  TRY_STATUS(DecodePrefixes(message.source_ips(), "source_ips", match.source_ips));
  TRY_STATUS(DecodePrefixes(message.not_source_ips(), "not_source_ips", match.not_source_ips));
  TRY_STATUS(DecodePrefixes(message.destination_ips(), "destination_ips", match.destination_ips));
  TRY_STATUS(DecodePrefixes(message.not_destination_ips(), "not_destination_ips", match.not_destination_ips));
  TRY_STATUS(DecodePortList(message.destination_ports(), "destination_ports", match.destination_ports));
  TRY_STATUS(DecodePortList(message.not_destination_ports(), "not_destination_ports", match.not_destination_ports));
  return match;
}

absl::StatusOr<PolicyScope> DecodeScope(int scope) {
  switch (scope) {
    case wire::GLOBAL: return PolicyScope::kGlobal;
    case wire::NAMESPACE: return PolicyScope::kNamespace;
    case wire::WORKLOAD_SELECTOR: return PolicyScope::kSelector;
    default: return UnknownEnum("scope", scope);
  }
}

int Entries(const wire::Match& match) {
  return match.namespaces_size() + match.not_namespaces_size() + match.principals_size() + match.not_principals_size() +
         match.service_accounts_size() + match.not_service_accounts_size() + match.source_ips_size() +
         match.not_source_ips_size() + match.destination_ips_size() + match.not_destination_ips_size() +
         match.destination_ports_size() + match.not_destination_ports_size();
}

absl::StatusOr<std::vector<Rule>> DecodeRules(const wire::Authorization& message) {
  int entries = 0;
  std::vector<Rule> rules;
  for (const wire::Rule& wire_rule : message.rules()) {
    Rule& rule = rules.emplace_back();
    for (const wire::Clause& wire_clause : wire_rule.clauses()) {
      Clause& clause = rule.clauses.emplace_back();
      for (const wire::Match& wire_match : wire_clause.matches()) {
        entries += 1 + Entries(wire_match);
        if (entries > kMaxPolicyEntries) return TooMany("entries", entries, kMaxPolicyEntries);
        TRY_ASSIGN(clause.matches.emplace_back(), DecodeMatch(wire_match));
      }
    }
  }
  return rules;
}

}  // namespace

absl::StatusOr<Policy> DecodePolicy(const wire::Authorization& message) {
  if (message.name().empty() || message.namespace_().empty()) {
    return absl::InvalidArgumentError("the policy has no namespace or no name");
  }
  Policy policy{.id = PolicyName(absl::StrCat(message.namespace_(), "/", message.name())),
                .name_space = message.namespace_(),
                .dry_run = message.dry_run()};
  TRY_ASSIGN(policy.scope, DecodeScope(message.scope()));
  switch (message.action()) {
    case wire::ALLOW: policy.action = PolicyAction::kAllow; break;
    case wire::DENY: policy.action = PolicyAction::kDeny; break;
    default: return UnknownEnum("action", message.action());
  }
  TRY_ASSIGN(policy.rules, DecodeRules(message));
  return policy;
}

Policy RefusedPolicy(std::string_view resource_name, const wire::Authorization* message, std::string_view reason) {
  const size_t slash = resource_name.find('/');
  const std::string_view name_space = slash == std::string_view::npos ? "" : resource_name.substr(0, slash);
  Policy policy{.id = PolicyName(resource_name),
                .name_space = std::string(name_space),
                .scope = name_space.empty() ? PolicyScope::kGlobal : PolicyScope::kNamespace,
                .action = PolicyAction::kDeny,
                .refusal = std::string(reason)};
  if (message == nullptr) return policy;
  policy.dry_run = message->dry_run();
  if (const auto scope = DecodeScope(message->scope()); scope.ok()) policy.scope = *scope;
  return policy;
}

}  // namespace heddle::agent
