#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <string_view>
#include <utility>

#include "agent/model/workload_view.h"
#include "proto/workload.pb.h"

namespace heddle::agent::testing {

// Whether two views have the same fields; services are in no order.
inline bool SameFields(WorkloadView one, WorkloadView other) {
  const auto by_name = [](WorkloadView& view) {
    std::ranges::sort(view.services, {}, &WorkloadView::Service::name);
  };
  const auto same_ports = [&](const WorkloadView::Service& a, const WorkloadView::Service& b) {
    return a.name == b.name &&
           std::equal(one.ports.begin() + a.ports_begin, one.ports.begin() + a.ports_end,
                      other.ports.begin() + b.ports_begin, other.ports.begin() + b.ports_end);
  };
  by_name(one);
  by_name(other);
  const auto texts = [](const WorkloadView& v) {
    return std::array{v.uid,           v.name,           v.name_space,         v.network,      v.cluster_id,
                      v.node,          v.hostname,       v.trust_domain,       v.service_account,
                      v.workload_name, v.canonical_name, v.canonical_revision, v.region,       v.zone,
                      v.subzone};
  };
  return texts(one) == texts(other) && one.addresses == other.addresses &&
         one.authorization_policies == other.authorization_policies &&
         std::ranges::equal(one.services, other.services, same_ports) &&
         one.tunnel_protocol == other.tunnel_protocol && one.workload_type == other.workload_type &&
         one.status == other.status && one.network_mode == other.network_mode && one.capacity == other.capacity &&
         one.native_tunnel == other.native_tunnel;
}

// Whether the bytes, if they are those of a plain workload, say what protobuf finds in them. `plain` counts those.
inline bool SeesWhatProtobufSees(std::string_view bytes, uint64_t& plain) {
  WorkloadView view;
  if (!ViewPlainWorkload(bytes, view)) return true;
  ++plain;
  istio::workload::Address message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())) || !message.has_workload()) return false;
  const istio::workload::Workload& workload = message.workload();
  if (workload.has_waypoint() || workload.has_network_gateway() || workload.has_application_tunnel()) return false;
  WorkloadView from_message;
  ViewWorkload(workload, from_message);
  return SameFields(std::move(view), std::move(from_message));
}

}  // namespace heddle::agent::testing
