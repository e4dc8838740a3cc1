#pragma once

#include <absl/status/status.h>

#include <cstdint>
#include <span>
#include <string_view>

#include "agent/model/address_decoder.h"
#include "agent/model/address_load.h"
#include "agent/model/state.h"
#include "proto/authorization.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

namespace heddle::agent {

// Most resources of one kind that are held; more are refused. Ten times the largest clusters that Kubernetes supports.
inline constexpr size_t kMaxResourcesPerKind = 2'000'000;

// Builds each State from the one before it. Belongs to the control thread. One batch (an xDS response, a file) is:
// any number of changes, then one Publish(); a change costs a few shards, whatever the size of the state.
//
// The Put methods validate. A resource that is refused leaves its last good version in place, and the status says
// why in a sentence; only a policy that never was good leaves a stand-in that denies everything in its scope (and
// everywhere it is referenced).
class StateBuilder {
 public:
  // `name` is the resource's name on the wire; it must agree with what is inside.
  absl::Status PutAddress(std::string_view name, const istio::workload::Address& message);
  absl::Status PutAddress(std::string_view name, std::string_view bytes);
  absl::Status PutPolicy(std::string_view name, const istio::security::Authorization& message);
  absl::Status PutNodePod(std::string_view name, const heddle::node::v1::NodePod& message);
  // For a policy whose bytes are no message at all.
  void RefusePolicy(std::string_view name, std::string_view reason);

  // Unknown names are no error: deletions may arrive twice.
  void RemoveAddress(std::string_view name);
  void RemovePolicy(std::string_view name);
  void RemoveNodePod(std::string_view name);

  // All at once, into a state that has neither workloads nor services: for the first one, which may be large. At most
  // kMaxResourcesPerKind. A second thread helps with a large one.
  void Load(std::span<AddressLoad> loads);

  // The control plane (or the file of the last state) has said all it has of this kind.
  void SetReceived(ResourceKind kind) { state_.received_.set(static_cast<size_t>(kind)); }

  // The state with all changes so far.
  StateRef Publish();

 private:
  absl::Status Put(const DecodedAddress& address);
  void PutWorkload(const WorkloadRef& workload);
  void PutService(const ServiceRef& service);
  void PutPolicy(const PolicyRef& policy);
  void UnindexWorkload(const Workload& workload);
  void UnindexService(const Service& service);
  void UnindexPolicy(const Policy& policy);
  void RefusePolicy(std::string_view name, const istio::security::Authorization* message, std::string_view reason);

  State state_;
  EditId edit_ = 1;
  AddressDecoder decoder_;
};

}  // namespace heddle::agent
