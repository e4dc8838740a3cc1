#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "agent/model/id.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

enum class FailMode : uint8_t { kClosed, kOpen };

// What of a pod's traffic is left alone, and what happens while the agent is gone.
struct Interception {
  std::vector<uint16_t> excluded_inbound_ports;
  std::vector<uint16_t> excluded_outbound_ports;
  std::vector<io::IpPrefix> excluded_inbound_cidrs;   // Of sources.
  std::vector<io::IpPrefix> excluded_outbound_cidrs;  // Of destinations.
  FailMode fail_mode = FailMode::kClosed;
  bool operator==(const Interception&) const = default;
};

// What a namespace says about pods without a label of their own. kUnknown: the controller does not say.
enum class NamespaceMode : uint8_t { kUnknown, kEnrolled, kNone };

// A pod bound to this node, as the controller says: who it is, known before it has an address. Immutable once in a
// State.
struct NodePod {
  PodUid uid;
  std::string name_space;
  std::string name;
  tls::SpiffeId identity;
  bool enrolled = false;
  bool host_network = false;
  std::vector<io::IpAddress> pod_ips;  // status.podIPs, once known.
  Interception interception;
  WorkloadUid workload;
  NamespaceMode namespace_mode = NamespaceMode::kUnknown;

  // Whether its traffic is to be captured.
  bool in_mesh() const { return enrolled && !host_network; }
  bool operator==(const NodePod&) const = default;
};

using NodePodRef = std::shared_ptr<const NodePod>;

}  // namespace heddle::agent
