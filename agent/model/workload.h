#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/model/id.h"
#include "lib/base/rare.h"
#include "lib/base/shared_string.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

enum class TunnelProtocol : uint8_t { kNone, kHbone };
enum class WorkloadType : uint8_t { kDeployment, kCronJob, kPod, kJob };
enum class ApplicationTunnelProtocol : uint8_t { kNone, kProxy };

// "deployment", "cronjob", "pod", "job": as in baggage.
std::string_view ToString(WorkloadType type);

// How a waypoint or a network gateway is named: by service name or by address.
struct GatewayAddress {
  std::optional<ServiceName> service;
  std::string network;                  // Of `ip`.
  std::optional<io::IpAddress> ip;      // One of the two is set.
  uint16_t hbone_port = 0;

  std::string ToString() const;
  bool operator==(const GatewayAddress&) const = default;
};

struct Locality {
  SharedString region;
  SharedString zone;
  SharedString subzone;
  bool operator==(const Locality&) const = default;
};

struct PortMapping {
  uint16_t service_port = 0;
  uint16_t target_port = 0;  // In a service: 0 means that each endpoint maps the port itself.
  bool operator==(const PortMapping&) const = default;
};

// One service that the workload is an endpoint of; it need not be known (yet).
struct ServiceMembership {
  ServiceName service;
  std::vector<PortMapping> ports;
  bool operator==(const ServiceMembership&) const = default;
};

struct ApplicationTunnel {
  ApplicationTunnelProtocol protocol = ApplicationTunnelProtocol::kNone;
  uint16_t port = 0;  // 0: unset.
  bool operator==(const ApplicationTunnel&) const = default;
};

// A workload as the control plane describes it, validated. Immutable once in a State. Most of its texts are those of
// many others, with which it shares them.
struct Workload {
  // Looked at for each connection, and so before the rest.
  TunnelProtocol protocol = TunnelProtocol::kNone;
  bool native_tunnel = false;
  bool host_network = false;  // Not found by address.
  bool healthy = true;
  uint32_t capacity = 1;
  // Who it is; empty only if the control plane names no namespace. The defaults of an empty trust domain and
  // service account are filled in.
  std::optional<tls::SpiffeId> identity;

  WorkloadUid uid;
  SharedString name;  // Of the pod.
  SharedString name_space;
  std::vector<io::IpAddress> addresses;
  SharedString network;
  SharedString cluster_id;
  SharedString node;
  SharedString hostname;

  WorkloadType type = WorkloadType::kDeployment;
  SharedString workload_name;  // Of the Deployment, Job...
  SharedString canonical_name;
  SharedString canonical_revision;
  Locality locality;

  std::vector<ServiceMembership> services;
  std::vector<PolicyName> authorization_policies;
  Rare<GatewayAddress> waypoint;
  Rare<GatewayAddress> network_gateway;
  std::optional<ApplicationTunnel> application_tunnel;

  bool operator==(const Workload&) const = default;
};

using WorkloadRef = std::shared_ptr<const Workload>;

}  // namespace heddle::agent
