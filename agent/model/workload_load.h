#pragma once

#include <string_view>
#include <vector>

#include "agent/model/state.h"

namespace heddle::agent {

// The workloads of a state that has none: an agent that starts with a hundred thousand on disk has each index made at
// once, at a fraction of what it costs to put one after the other. One thread's.
class WorkloadLoad {
 public:
  // No uid twice. The state holds as many as it may.
  void Add(const WorkloadRef& workload);
  size_t size() const { return workloads_.size(); }

  // Into a state without workloads. Ends the load.
  void BuildInto(State& state, EditId edit) &&;

 private:
  std::vector<PersistentMap<WorkloadUid, WorkloadRef>::Entry> workloads_;
  // Views of what is in the workloads.
  std::vector<Grouped<NetworkAddressView, WorkloadRef>> by_address_;
  std::vector<Grouped<IdView<ServiceName>, Endpoint>> by_service_;
  std::vector<const ServiceName*> weighted_;
};

}  // namespace heddle::agent
