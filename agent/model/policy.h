#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/id.h"
#include "lib/io/address.h"

namespace heddle::agent {

// How a string attribute is compared. No value is empty, so that an absent identity, which is seen as the empty string,
// never matches by accident.
struct StringMatch {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kPresence };
  Kind kind = Kind::kExact;
  std::string value;  // Empty for kPresence only.

  bool Matches(std::string_view text) const;
  bool operator==(const StringMatch&) const = default;
};

struct ServiceAccountMatch {
  std::string name_space;
  std::string service_account;
  bool operator==(const ServiceAccountMatch&) const = default;
};

// All attribute types must agree; within one, any positive entry and no negative entry. A match without any entry never
// matches (ambient-wire.md section 5.3).
struct Match {
  std::vector<StringMatch> namespaces, not_namespaces;
  std::vector<StringMatch> principals, not_principals;  // Without "spiffe://".
  std::vector<ServiceAccountMatch> service_accounts, not_service_accounts;
  std::vector<io::IpPrefix> source_ips, not_source_ips;
  std::vector<io::IpPrefix> destination_ips, not_destination_ips;
  std::vector<uint16_t> destination_ports, not_destination_ports;

  bool empty() const;
  bool operator==(const Match&) const = default;
};

struct Clause {
  std::vector<Match> matches;  // Any; none at all: matches.
  bool operator==(const Clause&) const = default;
};

struct Rule {
  std::vector<Clause> clauses;  // All; none at all: matches.
  bool operator==(const Rule&) const = default;
};

enum class PolicyScope : uint8_t { kGlobal, kNamespace, kSelector };
enum class PolicyAction : uint8_t { kAllow, kDeny };

// An authorization policy, validated and in the form in which it is evaluated. Immutable once in a State.
struct Policy {
  PolicyName id;  // "name_space/name".
  std::string name_space;
  PolicyScope scope = PolicyScope::kNamespace;
  PolicyAction action = PolicyAction::kAllow;
  bool dry_run = false;
  std::vector<Rule> rules;  // Any; none at all: never matches.
  // Not empty: stands for a policy that was refused, with this reason, and never was good. It denies everything in
  // its scope.
  std::string refusal;

  bool operator==(const Policy&) const = default;
};

using PolicyRef = std::shared_ptr<const Policy>;

}  // namespace heddle::agent
