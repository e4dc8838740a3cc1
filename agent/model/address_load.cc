#include "agent/model/address_load.h"

#include <utility>

#include "lib/base/check.h"
#include "lib/base/status.h"

namespace heddle::agent {

template <typename Entry>
struct AddressLoad::Merged {
  Merged(std::span<AddressLoad> loads, Hashed<Entry> AddressLoad::* list)
      : loads(loads), list(list) {
    size_t count = 0;
    for (const AddressLoad& load : loads) count += (load.*list).all.size();
    places.reserve(count);
    for (size_t i = 0; i < loads.size(); ++i) {
      const std::vector<uint64_t>& digits = (loads[i].*list).digits;
      for (size_t k = 0; k < digits.size(); ++k) places.push_back({digits[k], i << 32 | k});
    }
    SortByHash(places);
  }

  Entry& operator()(uint64_t index) const {
    return (loads[index >> 32].*list).all[index & UINT32_MAX];
  }

  std::span<AddressLoad> loads;
  Hashed<Entry> AddressLoad::* list;
  std::vector<HashPlace> places;
};

void AddressLoad::Reserve(size_t addresses) {
  workloads_.Reserve(addresses);
  by_address_.Reserve(addresses);
  by_service_.Reserve(addresses);
}

absl::Status AddressLoad::Add(std::string_view name, std::string_view bytes,
                              AddressDecoder& decoder) {
  TRY_ASSIGN(const DecodedAddress address, decoder.Decode(name, bytes));
  if (address.workload != nullptr) {
    AddWorkload(address.workload);
  } else {
    services_.push_back(address.service);
  }
  return absl::OkStatus();
}

void AddressLoad::AddWorkload(const WorkloadRef& workload) {
  workloads_.Add(decltype(State::workloads_)::Hash(workload->uid), {workload->uid, workload});
  if (!workload->host_network) {
    for (const io::IpAddress& ip : workload->addresses) {
      const NetworkAddressRef view{workload->network, ip};
      by_address_.Add(decltype(State::workloads_by_address_)::Hash(view), {view, workload});
    }
  }
  for (const ServiceMembership& membership : workload->services) {
    const IdView<ServiceName> view{membership.service};
    by_service_.Add(decltype(State::endpoints_)::Hash(view),
                    {view, Endpoint(workload, membership)});
  }
  if (workload->capacity != 1) weighted_.push_back(workload);
}

void AddressLoad::BuildAddressIndex(std::span<AddressLoad> loads, State& state, EditId edit) {
  CHECK(state.workloads_by_address_.empty());
  const Merged merged(loads, &AddressLoad::by_address_);
  state.workloads_by_address_ =
      MakeGroups<NetworkAddress, WorkloadRef>(edit, merged.places, merged);
}

void AddressLoad::BuildWorkloadsAndEndpoints(std::span<AddressLoad> loads, State& state,
                                             EditId edit) {
  CHECK(state.workloads_.empty() && state.endpoints_.empty() && state.weighted_endpoints_.empty());
  Merged workloads(loads, &AddressLoad::workloads_);
  state.workloads_ = PersistentMap<WorkloadUid, WorkloadRef>::MakeSorted(
      edit, std::move(workloads.places), workloads);
  const Merged endpoints(loads, &AddressLoad::by_service_);
  state.endpoints_ = MakeGroups<ServiceName, Endpoint>(edit, endpoints.places, endpoints);
  for (const AddressLoad& load : loads) {
    for (const WorkloadRef& workload : load.weighted_) {
      for (const ServiceMembership& membership : workload->services) {
        ++state.weighted_endpoints_.Mutable(edit, membership.service);
      }
    }
  }
}

}  // namespace heddle::agent
