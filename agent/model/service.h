#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/id.h"
#include "agent/model/workload.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

enum class LoadBalancingScope : uint8_t { kRegion, kZone, kSubzone, kNode, kCluster, kNetwork };
enum class LoadBalancingMode : uint8_t { kAny, kStrict, kFailover, kPassthrough };
enum class IpFamilies : uint8_t { kAutomatic, kV4, kV6, kDual };

struct LoadBalancing {
  std::vector<LoadBalancingScope> preferences;
  LoadBalancingMode mode = LoadBalancingMode::kAny;
  bool include_unhealthy = false;
  bool operator==(const LoadBalancing&) const = default;
};

// A virtual address of a service: one host, or a block when `prefix` is shorter than the address.
struct ServiceAddress {
  SharedString network;
  io::IpPrefix prefix;
  bool is_host() const { return prefix.length() == (prefix.address().is_v4() ? 32 : 128); }
  bool operator==(const ServiceAddress&) const = default;
};

// A service as the control plane describes it, validated. Immutable once in a State.
struct Service {
  std::string name;
  std::string name_space;
  std::string hostname;
  ServiceName id;  // "name_space/hostname".
  std::vector<ServiceAddress> addresses;
  std::vector<PortMapping> ports;
  std::vector<tls::SpiffeId> identities;  // Accepted besides the endpoint's own.
  LoadBalancing load_balancing;
  IpFamilies ip_families = IpFamilies::kAutomatic;
  bool canonical = false;
  bool visible_in_namespace_only = false;
  std::optional<GatewayAddress> waypoint;
  bool has_weighted_waypoints = false;

  // The mapping of a service port, or nullptr.
  const PortMapping* FindPort(uint16_t port) const;
  bool uses_waypoint() const { return waypoint.has_value() || has_weighted_waypoints; }
  bool operator==(const Service&) const = default;
};

using ServiceRef = std::shared_ptr<const Service>;

}  // namespace heddle::agent
