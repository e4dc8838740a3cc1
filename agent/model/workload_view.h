#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "proto/workload.pb.h"

namespace heddle::agent {

// The fields of a workload's message where they lie: what DecodeWorkload looks at. A message of protobuf's would be a
// copy of each, in memory of its own, and an agent that starts has a hundred thousand of them. Nothing is validated
// yet. To be used again for the next one, so that its lists keep their room.
struct WorkloadView {
  struct Port {
    uint32_t service_port = 0;
    uint32_t target_port = 0;
    bool operator==(const Port&) const = default;
  };
  struct Service {
    std::string_view name;
    size_t ports_begin = 0;  // In `ports`.
    size_t ports_end = 0;
  };

  // As in proto/workload.proto; what the message does not have is empty or 0.
  std::string_view uid, name, name_space, network, cluster_id, node, hostname, trust_domain,
      service_account;
  std::string_view workload_name, canonical_name, canonical_revision, region, zone, subzone;
  std::vector<std::string_view> addresses;
  std::vector<std::string_view> authorization_policies;
  std::vector<Service> services;  // No name twice.
  std::vector<Port> ports;
  int tunnel_protocol = 0;
  int workload_type = 0;
  int status = 0;
  int network_mode = 0;
  uint32_t capacity = 1;
  bool native_tunnel = false;

  void Clear();
};

// All but the gateways and the application tunnel, which few have. The view lives as long as the message.
void ViewWorkload(const istio::workload::Workload& message, WorkloadView& view);

// The same of an encoded istio.workload.Address, without making a message of it. False for all that is unusual, of
// which the view then says nothing: no workload, one with the fields left out above or with more of something than may
// be, a text that is not ASCII, messages that come twice, bytes that are no message. What to make of those is for
// protobuf to say.
bool ViewPlainWorkload(std::string_view address, WorkloadView& view);

}  // namespace heddle::agent
