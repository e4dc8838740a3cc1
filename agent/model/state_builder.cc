#include "agent/model/state_builder.h"

#include <absl/strings/str_cat.h>

#include <memory>
#include <utility>

#include "agent/model/decode.h"
#include "agent/model/decode_values.h"
#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::agent {
namespace {

template <typename Map, typename Key>
absl::Status CheckRoom(const Map& map, const Key& key) {
  if (map.size() < kMaxResourcesPerKind || map.Find(key) != nullptr) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("there are ", map.size(), " resources of its kind already"));
}

// The key of a policy among those that apply without being referenced; empty optional: selected by name only.
std::optional<std::string> ScopeKey(const Policy& policy) {
  switch (policy.scope) {
    case PolicyScope::kGlobal: return "";
    case PolicyScope::kNamespace: return policy.name_space;
    case PolicyScope::kSelector: return std::nullopt;
  }
  return "";
}

}  // namespace

absl::Status StateBuilder::PutAddress(std::string_view name, const istio::workload::Address& message) {
  TRY_ASSIGN(const DecodedAddress address, decoder_.Decode(name, message));
  return Put(address);
}

absl::Status StateBuilder::PutAddress(std::string_view name, std::string_view bytes) {
  TRY_ASSIGN(const DecodedAddress address, decoder_.Decode(name, bytes));
  return Put(address);
}

absl::Status StateBuilder::Put(const DecodedAddress& address) {
  if (address.workload != nullptr) {
    TRY_STATUS(CheckRoom(state_.workloads_, address.workload->uid));
    PutWorkload(address.workload);
  } else {
    TRY_STATUS(CheckRoom(state_.services_, address.service->id));
    PutService(address.service);
  }
  return absl::OkStatus();
}

void StateBuilder::PutWorkload(const WorkloadRef& workload) {
  if (const WorkloadRef old = state_.FindWorkload(workload->uid); old != nullptr) {
    if (*old == *workload) return;
    UnindexWorkload(*old);
  }
  state_.workloads_.Put(edit_, workload->uid, workload);
  if (!workload->host_network) {
    for (const io::IpAddress& ip : workload->addresses) {
      AddMember(state_.workloads_by_address_, edit_, NetworkAddress{workload->network, ip},
                workload);
    }
  }
  for (const ServiceMembership& membership : workload->services) {
    AddMember(state_.endpoints_, edit_, membership.service, Endpoint(workload, membership));
    if (workload->capacity != 1) ++state_.weighted_endpoints_.Mutable(edit_, membership.service);
  }
}

void StateBuilder::Load(std::span<AddressLoad> loads) {
  size_t addresses = 0;
  for (const AddressLoad& load : loads) addresses += load.size();
  CHECK(addresses <= kMaxResourcesPerKind);
  RunBoth(AddressLoad::ThreadsFor(addresses), [&] { AddressLoad::BuildAddressIndex(loads, state_, edit_); },
          [&] {
            AddressLoad::BuildWorkloadsAndEndpoints(loads, state_, edit_);
            for (const AddressLoad& load : loads) {
              for (const ServiceRef& service : load.services()) PutService(service);
            }
          });
}

void StateBuilder::UnindexWorkload(const Workload& workload) {
  const auto is = [&workload](const WorkloadRef& member) { return member.get() == &workload; };
  if (!workload.host_network) {
    for (const io::IpAddress& ip : workload.addresses) {
      RemoveMembers(state_.workloads_by_address_, edit_, NetworkAddress{workload.network, ip}, is);
    }
  }
  for (const ServiceMembership& membership : workload.services) {
    RemoveMembers(
        state_.endpoints_, edit_, membership.service,
        [&workload](const Endpoint& member) { return member.workload.get() == &workload; });
    if (workload.capacity == 1) continue;
    if (--state_.weighted_endpoints_.Mutable(edit_, membership.service) == 0) {
      state_.weighted_endpoints_.Erase(edit_, membership.service);
    }
  }
}

void StateBuilder::PutService(const ServiceRef& service) {
  if (const ServiceRef old = state_.FindService(service->id); old != nullptr) {
    if (*old == *service) return;
    UnindexService(*old);
  }
  state_.services_.Put(edit_, service->id, service);
  AddMember(state_.services_by_hostname_, edit_, service->hostname, service);
  for (const ServiceAddress& address : service->addresses) {
    const io::IpPrefix& prefix = address.prefix;
    if (address.is_host()) {
      AddMember(state_.services_by_address_, edit_,
                NetworkAddress{address.network, prefix.address()}, service);
    } else {
      AddMember(state_.services_by_prefix_, edit_, NetworkPrefix{address.network, prefix}, service);
      ++(prefix.address().is_v4() ? state_.v4_lengths_ : state_.v6_lengths_)[prefix.length()];
    }
  }
}

void StateBuilder::UnindexService(const Service& service) {
  const auto is = [&service](const ServiceRef& member) { return member.get() == &service; };
  RemoveMembers(state_.services_by_hostname_, edit_, service.hostname, is);
  for (const ServiceAddress& address : service.addresses) {
    const io::IpPrefix& prefix = address.prefix;
    if (address.is_host()) {
      RemoveMembers(state_.services_by_address_, edit_,
                    NetworkAddress{address.network, prefix.address()}, is);
    } else {
      RemoveMembers(state_.services_by_prefix_, edit_, NetworkPrefix{address.network, prefix}, is);
      --(prefix.address().is_v4() ? state_.v4_lengths_ : state_.v6_lengths_)[prefix.length()];
    }
  }
}

void StateBuilder::RemoveAddress(std::string_view name) {
  const WorkloadUid uid(name);
  if (const WorkloadRef workload = state_.FindWorkload(uid); workload != nullptr) {
    UnindexWorkload(*workload);
    state_.workloads_.Erase(edit_, uid);
    return;
  }
  const ServiceName service_name(name);
  if (const ServiceRef service = state_.FindService(service_name); service != nullptr) {
    UnindexService(*service);
    state_.services_.Erase(edit_, service_name);
  }
}

absl::Status StateBuilder::PutPolicy(std::string_view name,
                                     const istio::security::Authorization& message) {
  absl::StatusOr<Policy> policy = DecodePolicy(message);
  absl::Status status = policy.status();
  if (status.ok() && policy->id.ToString() != name)
    status = NameDiffers("policy", policy->id.ToString());
  if (status.ok()) status = CheckRoom(state_.policies_, policy->id);
  if (status.ok()) {
    PutPolicy(std::make_shared<const Policy>(*std::move(policy)));
  } else {
    RefusePolicy(name, &message, ToStd(status.message()));
  }
  return status;
}

void StateBuilder::RefusePolicy(std::string_view name, std::string_view reason) {
  RefusePolicy(name, nullptr, reason);
}

void StateBuilder::RefusePolicy(std::string_view name,
                                const istio::security::Authorization* message,
                                std::string_view reason) {
  const PolicyRef last = state_.FindPolicy(PolicyName(name));
  if (last != nullptr && last->refusal.empty()) return;  // The last good one stays.
  PutPolicy(std::make_shared<const Policy>(RefusedPolicy(name, message, reason)));
}

void StateBuilder::PutPolicy(const PolicyRef& policy) {
  if (const PolicyRef old = state_.FindPolicy(policy->id); old != nullptr) {
    if (*old == *policy) return;
    UnindexPolicy(*old);
  }
  state_.policies_.Put(edit_, policy->id, policy);
  if (const auto scope = ScopeKey(*policy)) state_.policy_index_.Add(edit_, policy, *scope);
}

void StateBuilder::UnindexPolicy(const Policy& policy) {
  if (const auto scope = ScopeKey(policy)) state_.policy_index_.Remove(edit_, policy, *scope);
}

void StateBuilder::RemovePolicy(std::string_view name) {
  const PolicyName id(name);
  const PolicyRef policy = state_.FindPolicy(id);
  if (policy == nullptr) return;
  UnindexPolicy(*policy);
  state_.policies_.Erase(edit_, id);
}

absl::Status StateBuilder::PutNodePod(std::string_view name,
                                      const heddle::node::v1::NodePod& message) {
  TRY_ASSIGN(NodePod pod, DecodeNodePod(message));
  if (pod.uid.ToString() != name) return NameDiffers("pod", pod.uid.ToString());
  TRY_STATUS(CheckRoom(state_.node_pods_, pod.uid));
  const PodUid uid = pod.uid;
  state_.node_pods_.Put(edit_, uid, std::make_shared<const NodePod>(std::move(pod)));
  return absl::OkStatus();
}

void StateBuilder::RemoveNodePod(std::string_view name) {
  state_.node_pods_.Erase(edit_, PodUid(name));
}

StateRef StateBuilder::Publish() {
  ++state_.generation_;
  auto published = std::make_shared<const State>(state_);
  ++edit_;  // From here on the published shards are copied before they change.
  return published;
}

}  // namespace heddle::agent
