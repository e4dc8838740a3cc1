#include "agent/model/address_load.h"

#include <utility>

#include "agent/model/decode.h"
#include "lib/base/check.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

template <typename Element>
void AppendTo(std::vector<Element>& all, std::vector<Element>& next) {
  all.reserve(all.size() + next.size());
  for (Element& element : next) all.push_back(std::move(element));
}

}  // namespace

void AddressLoad::Reserve(size_t addresses) {
  workloads_.reserve(addresses);
  by_address_.reserve(addresses);
  by_service_.reserve(addresses);
}

absl::Status AddressLoad::Add(std::string_view name, const istio::workload::Address& message) {
  TRY_ASSIGN(const DecodedAddress address, DecodeAddressResource(name, message));
  if (address.workload != nullptr) {
    AddWorkload(address.workload);
  } else {
    services_.push_back(address.service);
  }
  return absl::OkStatus();
}

void AddressLoad::AddWorkload(const WorkloadRef& workload) {
  workloads_.push_back({workload->uid, workload});
  if (!workload->host_network) {
    for (const io::IpAddress& ip : workload->addresses) {
      const NetworkAddressView view{workload->network, ip};
      by_address_.push_back({view, decltype(State::workloads_by_address_)::Hash(view), workload});
    }
  }
  for (const ServiceMembership& membership : workload->services) {
    const IdView<ServiceName> view{membership.service};
    by_service_.push_back(
        {view, decltype(State::endpoints_)::Hash(view), Endpoint(workload, membership)});
  }
  if (workload->capacity != 1) weighted_.push_back(workload);
}

void AddressLoad::Append(AddressLoad next) {
  AppendTo(workloads_, next.workloads_);
  AppendTo(by_address_, next.by_address_);
  AppendTo(by_service_, next.by_service_);
  AppendTo(weighted_, next.weighted_);
  AppendTo(services_, next.services_);
}

void AddressLoad::BuildAddressIndex(State& state, EditId edit) {
  CHECK(state.workloads_by_address_.empty());
  state.workloads_by_address_ = MakeGroups<NetworkAddress>(edit, std::move(by_address_));
}

void AddressLoad::BuildWorkloadsAndEndpoints(State& state, EditId edit) {
  CHECK(state.workloads_.empty() && state.endpoints_.empty() && state.weighted_endpoints_.empty());
  state.workloads_ = PersistentMap<WorkloadUid, WorkloadRef>::Make(edit, std::move(workloads_));
  state.endpoints_ = MakeGroups<ServiceName>(edit, std::move(by_service_));
  for (const WorkloadRef& workload : weighted_) {
    for (const ServiceMembership& membership : workload->services) {
      ++state.weighted_endpoints_.Mutable(edit, membership.service);
    }
  }
}

}  // namespace heddle::agent
