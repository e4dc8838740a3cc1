#pragma once

#include <absl/status/statusor.h>

#include <string_view>

#include "agent/model/node_pod.h"
#include "agent/model/policy.h"
#include "agent/model/service.h"
#include "agent/model/workload.h"
#include "proto/authorization.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

// From wire messages to validated values. Strict: what we do not understand is refused with a sentence, never
// dropped, because a dropped entry of a list can turn "these addresses" into "all addresses". The caller adds the
// resource's name to the sentence. Pure functions.
namespace heddle::agent {

// Limits per resource. The real ones are orders of magnitude smaller; these only keep one resource from being a burden.
inline constexpr int kMaxWorkloadAddresses = 64;
inline constexpr int kMaxWorkloadServices = 1024;
inline constexpr int kMaxServiceAddresses = 1024;
inline constexpr int kMaxServicePorts = 1024;
inline constexpr int kMaxServiceIdentities = 10'000;
inline constexpr int kMaxPolicyReferences = 10'000;
// Entries of all lists of one policy together.
inline constexpr int kMaxPolicyEntries = 100'000;

absl::StatusOr<WorkloadRef> DecodeWorkload(const istio::workload::Workload& message);
absl::StatusOr<Service> DecodeService(const istio::workload::Service& message);
// One of the two.
struct DecodedAddress {
  WorkloadRef workload;
  ServiceRef service;
};
// `name` is the resource's name on the wire; it must agree with what is inside.
absl::StatusOr<DecodedAddress> DecodeAddressResource(std::string_view name, const istio::workload::Address& message);

absl::StatusOr<Policy> DecodePolicy(const istio::security::Authorization& message);
absl::StatusOr<NodePod> DecodeNodePod(const heddle::node::v1::NodePod& message);

// Stands for a policy that cannot be had: denies everything in its scope. The scope is the message's if that can be
// read, else the namespace in the resource's name ("namespace/name"), else everything.
Policy RefusedPolicy(std::string_view resource_name, const istio::security::Authorization* message,
                     std::string_view reason);

}  // namespace heddle::agent
