#pragma once

#include <absl/status/statusor.h>

#include <string_view>

#include "agent/model/node_pod.h"
#include "agent/model/policy.h"
#include "agent/model/service.h"
#include "agent/model/shared_parts.h"
#include "agent/model/workload.h"
#include "agent/model/workload_view.h"
#include "proto/authorization.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

// From wire messages to validated values. Strict: what we do not understand is refused with a sentence, never
// dropped, because a dropped entry of a list can turn "these addresses" into "all addresses". The caller adds the
// resource's name to the sentence. Pure functions, but for what they share.
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

// Texts and identities that it has in common with others come from `shared`.
absl::StatusOr<WorkloadRef> DecodeWorkload(const istio::workload::Workload& message, SharedParts& shared);
// All that the view has; the caller adds gateways, and an application tunnel.
absl::StatusOr<std::shared_ptr<Workload>> DecodeWorkload(const WorkloadView& view, SharedParts& shared);
absl::StatusOr<Service> DecodeService(const istio::workload::Service& message);

absl::StatusOr<Policy> DecodePolicy(const istio::security::Authorization& message);
absl::StatusOr<NodePod> DecodeNodePod(const heddle::node::v1::NodePod& message);

// Stands for a policy that cannot be had: denies everything in its scope. The scope is the message's if that can be
// read, else the namespace in the resource's name ("namespace/name"), else everything.
Policy RefusedPolicy(std::string_view resource_name, const istio::security::Authorization* message,
                     std::string_view reason);

}  // namespace heddle::agent
