#pragma once

#include <array>
#include <bitset>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "agent/model/group.h"
#include "agent/model/id.h"
#include "agent/model/node_pod.h"
#include "agent/model/persistent_map.h"
#include "agent/model/policy.h"
#include "agent/model/policy_index.h"
#include "agent/model/service.h"
#include "agent/model/workload.h"
#include "lib/base/shared_string.h"
#include "lib/base/strings.h"
#include "lib/io/address.h"

namespace heddle::agent {

// An address on a named network.
struct NetworkAddress {
  SharedString network;
  io::IpAddress ip;
  bool operator==(const NetworkAddress&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const NetworkAddress& a) {
    return H::combine(std::move(state), a.network, a.ip);
  }
};

// The same without owning the name, for lookups that must not allocate.
struct NetworkAddressView {
  std::string_view network;
  io::IpAddress ip;
  friend bool operator==(const NetworkAddress& a, const NetworkAddressView& b) {
    return a.ip == b.ip && a.network == b.network;
  }
  explicit operator NetworkAddress() const { return {SharedString(network), ip}; }
  template <typename H>
  friend H AbslHashValue(H state, const NetworkAddressView& a) {
    return H::combine(std::move(state), ToAbsl(a.network), a.ip);
  }
};

// The same, whose key shares the name; for an index that is made at once. What it names outlives it.
struct NetworkAddressRef {
  const SharedString& network;
  const io::IpAddress& ip;
  friend bool operator==(const NetworkAddress& a, const NetworkAddressRef& b) {
    return a.ip == b.ip && a.network == b.network;
  }
  explicit operator NetworkAddress() const { return {network, ip}; }
  template <typename H>
  friend H AbslHashValue(H state, const NetworkAddressRef& a) {
    return H::combine(std::move(state), a.network, a.ip);
  }
};

struct NetworkPrefix {
  std::string network;
  io::IpPrefix prefix;
  bool operator==(const NetworkPrefix&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const NetworkPrefix& p) {
    return H::combine(std::move(state), ToAbsl(p.network), p.prefix);
  }
};

struct NetworkPrefixView {
  std::string_view network;
  io::IpPrefix prefix;
  friend bool operator==(const NetworkPrefix& a, const NetworkPrefixView& b) {
    return a.prefix == b.prefix && a.network == b.network;
  }
  template <typename H>
  friend H AbslHashValue(H state, const NetworkPrefixView& p) {
    return H::combine(std::move(state), ToAbsl(p.network), p.prefix);
  }
};

// How a workload is reached: all of it that decides about the next hop.
struct Reach {
  explicit Reach(const Workload& workload)
      : protocol(workload.protocol), identified(workload.identity.has_value()) {}

  TunnelProtocol protocol;
  bool identified;  // It has an identity that could be verified.
};

// One endpoint of a service, with what a choice looks at beside each other: among thousands of endpoints, to look at
// each one's workload would be several cache misses.
struct Endpoint {
  // `of` is part of the workload.
  Endpoint(WorkloadRef of_workload, const ServiceMembership& of);

  WorkloadRef workload;
  const ServiceMembership* membership;
  Reach reach;
  // The following two are all of their kind that it has, it is healthy, has capacity, and its network has no name.
  bool usual = false;
  PortMapping port;
  io::IpAddress address;
};

// The kinds of resources that a State is built from.
enum class ResourceKind : uint8_t { kAddress, kAuthorization, kNodePod };
inline constexpr size_t kResourceKinds = 3;

// Everything the control plane said, as one immutable value: what one xDS response changed is visible at once or
// not at all. Made by StateBuilder on the control thread; read from any thread, without locks, as long as the
// reader holds it. What the methods return lives as long as the State (or as the returned reference count).
class State {
 public:
  // Until Address and Authorization have been received or loaded from disk, inbound traffic is refused.
  bool ready() const { return has(ResourceKind::kAddress) && has(ResourceKind::kAuthorization); }
  bool has(ResourceKind kind) const { return received_[static_cast<size_t>(kind)]; }
  // Grows with each published state.
  uint64_t generation() const { return generation_; }

  WorkloadRef FindWorkload(const WorkloadUid& uid) const;
  // The workload behind an address: a pod before other kinds, then one with HBONE. Never one in the host's network.
  WorkloadRef FindWorkload(std::string_view network, const io::IpAddress& ip) const;

  ServiceRef FindService(const ServiceName& name) const;
  // The service with this virtual address, as a client in `client_namespace` sees it: an exact address before
  // blocks; then the client's own namespace, longer blocks, the canonical service, whichever came first.
  ServiceRef FindService(std::string_view network, const io::IpAddress& ip,
                         std::string_view client_namespace) const;
  // By hostname: the client's own namespace first, then the canonical one, whichever came first.
  ServiceRef FindServiceByHostname(std::string_view hostname,
                                   std::string_view client_namespace) const;
  // Also of services that are not known (yet).
  const std::vector<Endpoint>& FindEndpoints(const ServiceName& name) const {
    return FindMembers(endpoints_, name);
  }

  // True if some endpoint's capacity is not 1.
  bool HasWeights(const ServiceName& name) const {
    return weighted_endpoints_.Find(name) != nullptr;
  }

  PolicyRef FindPolicy(const PolicyName& name) const;
  const Policy* FindPolicyOrNull(const PolicyName& name) const;
  // Those that apply by scope; "" is the whole mesh.
  const PolicyIndex& policy_index() const { return policy_index_; }

  NodePodRef FindNodePod(const PodUid& uid) const;

  // For dumps and counts; in no particular order.
  const PersistentMap<WorkloadUid, WorkloadRef>& workloads() const { return workloads_; }
  const PersistentMap<ServiceName, ServiceRef>& services() const { return services_; }
  const PersistentMap<PolicyName, PolicyRef>& policies() const { return policies_; }
  const PersistentMap<PodUid, NodePodRef>& node_pods() const { return node_pods_; }

 private:
  friend class StateBuilder;
  friend class AddressLoad;
  // Blocks of each length, so that a lookup tries only lengths that are in use.
  using LengthCounts = std::array<uint32_t, 129>;

  PersistentMap<WorkloadUid, WorkloadRef> workloads_;
  GroupMap<NetworkAddress, WorkloadRef> workloads_by_address_;
  PersistentMap<ServiceName, ServiceRef> services_;
  GroupMap<NetworkAddress, ServiceRef> services_by_address_;
  GroupMap<NetworkPrefix, ServiceRef> services_by_prefix_;
  GroupMap<std::string, ServiceRef> services_by_hostname_;
  GroupMap<ServiceName, Endpoint> endpoints_;
  PersistentMap<ServiceName, uint32_t>
      weighted_endpoints_;  // How many have another capacity than 1; never 0.
  PersistentMap<PolicyName, PolicyRef> policies_;
  PolicyIndex policy_index_;
  PersistentMap<PodUid, NodePodRef> node_pods_;
  LengthCounts v4_lengths_{};
  LengthCounts v6_lengths_{};
  std::bitset<kResourceKinds> received_;
  uint64_t generation_ = 0;
};

using StateRef = std::shared_ptr<const State>;

}  // namespace heddle::agent
