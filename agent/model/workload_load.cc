#include "agent/model/workload_load.h"

#include <utility>

#include "lib/base/check.h"

namespace heddle::agent {

void WorkloadLoad::Add(const WorkloadRef& workload) {
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
    if (workload->capacity != 1) weighted_.push_back(&membership.service);
  }
}

void WorkloadLoad::BuildInto(State& state, EditId edit) && {
  CHECK(state.workloads_.empty() && state.workloads_by_address_.empty() &&
        state.endpoints_.empty());
  state.workloads_by_address_ = MakeGroups<NetworkAddress>(edit, std::move(by_address_));
  state.endpoints_ = MakeGroups<ServiceName>(edit, std::move(by_service_));
  for (const ServiceName* service : weighted_) ++state.weighted_endpoints_.Mutable(edit, *service);
  state.workloads_ = PersistentMap<WorkloadUid, WorkloadRef>::Make(edit, std::move(workloads_));
}

}  // namespace heddle::agent
