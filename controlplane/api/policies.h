#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/object_meta.h"
#include "lib/io/address.h"

// The kinds that guard and steer traffic, checked: what is here can be enforced as it stands.
namespace heddle::controlplane::api {

enum class MtlsMode : uint8_t { kUnset, kDisable, kPermissive, kStrict };

// What passes by the mesh: plain TCP, without identity and without policy.
struct Exclusions {
  std::vector<uint16_t> inbound_ports;
  std::vector<uint16_t> outbound_ports;
  std::vector<io::IpPrefix> inbound_cidrs;   // Of sources.
  std::vector<io::IpPrefix> outbound_cidrs;  // Of destinations.
  bool operator==(const Exclusions&) const = default;
};

struct PeerAuthentication {
  ObjectMeta meta;
  Labels selector;  // Empty: the whole namespace, or the mesh in the root namespace.
  MtlsMode mode = MtlsMode::kUnset;
  std::map<uint16_t, MtlsMode> port_modes;  // By the workload's port.
  bool operator==(const PeerAuthentication&) const = default;
};

// heddle.io: what of its pods' traffic is left alone, and what happens to it while their node's agent
// is away. What refuses or replaces a good one excludes nothing and fails closed.
struct InterceptionPolicy {
  ObjectMeta meta;
  Labels selector;  // Empty: the whole namespace, or the mesh in the root namespace.
  Exclusions exclusions;
  bool fail_open = false;
  bool operator==(const InterceptionPolicy&) const = default;
};

// A value of a policy's list: "a" exact, "a*" prefix, "*a" suffix, "*" present. No other wildcards.
struct StringPattern {
  enum class Kind : uint8_t { kExact, kPrefix, kSuffix, kPresence };
  Kind kind = Kind::kExact;
  std::string value;
  bool operator==(const StringPattern&) const = default;
};

// One source, operation or condition. Attribute types are joined by AND; in one type, any entry of
// the positive list and none of the negative one.
struct PolicyMatch {
  std::vector<StringPattern> principals, not_principals;  // Without "spiffe://".
  std::vector<StringPattern> namespaces, not_namespaces;
  std::vector<NamespacedName> service_accounts, not_service_accounts;
  std::vector<io::IpPrefix> source_ips, not_source_ips;
  std::vector<io::IpPrefix> destination_ips, not_destination_ips;
  std::vector<uint16_t> ports, not_ports;
  // It also has attributes that only HTTP can decide. They are not kept: what is above is all that
  // is known of it.
  bool needs_http = false;
  bool operator==(const PolicyMatch&) const = default;

  // No attribute that can be decided without HTTP.
  bool EmptyAtL4() const;
};

struct PolicyRule {
  std::vector<PolicyMatch> from;  // Any of them; empty: no constraint.
  std::vector<PolicyMatch> to;    // Any of them; empty: no constraint.
  std::vector<PolicyMatch> when;  // All of them.
  bool operator==(const PolicyRule&) const = default;

  bool NeedsHttp() const;
  // Without HTTP this rule matches every connection.
  bool MatchesAllAtL4() const;
};

struct AuthorizationPolicy {
  enum class Action : uint8_t { kAllow, kDeny, kAudit };

  ObjectMeta meta;
  Labels selector;  // Empty: the whole namespace, or the mesh in the root namespace.
  Action action = Action::kAllow;
  std::vector<PolicyRule> rules;
  bool dry_run = false;
  bool has_target_refs = false;  // Meant for waypoints and gateways.
  // This is what stands in for a policy that was refused and never good: a DENY of everything that
  // it selects.
  bool stand_in = false;
  bool operator==(const AuthorizationPolicy&) const = default;
};

}  // namespace heddle::controlplane::api
