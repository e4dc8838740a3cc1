#pragma once

#include <absl/status/status.h>

#include <string_view>
#include <vector>

#include "agent/model/state.h"
#include "lib/base/run_both.h"
#include "proto/workload.pb.h"

namespace heddle::agent {

// Workloads and services of a state that has none: an agent that starts with a hundred thousand on disk has each index
// made at once, at a fraction of what it costs to put one after the other. Decoding touches no state, so that several
// loads can be filled by as many threads and then be joined; each is one thread's at a time.
class AddressLoad {
 public:
  // Room for so many, of which most are workloads with an address and a service.
  void Reserve(size_t addresses);
  // No name twice. What is refused is not in the load.
  absl::Status Add(std::string_view name, const istio::workload::Address& message);
  // What `next` has comes after what this has.
  void Append(AddressLoad next);

  // The following two end the load, each about half of it, and may run at the same time.
  void BuildAddressIndex(State& state, EditId edit);
  void BuildWorkloadsAndEndpoints(State& state, EditId edit);
  const std::vector<ServiceRef>& services() const { return services_; }
  size_t size() const { return workloads_.size() + services_.size(); }
  // What so many are worth: a second thread gains milliseconds from here on.
  static Threads ThreadsFor(size_t addresses) { return addresses < 1000 ? Threads::kOne : Threads::kTwo; }

 private:
  void AddWorkload(const WorkloadRef& workload);

  std::vector<PersistentMap<WorkloadUid, WorkloadRef>::Entry> workloads_;
  // Views of what is in the workloads.
  std::vector<Grouped<NetworkAddressView, WorkloadRef>> by_address_;
  std::vector<Grouped<IdView<ServiceName>, Endpoint>> by_service_;
  std::vector<WorkloadRef> weighted_;
  std::vector<ServiceRef> services_;
};

}  // namespace heddle::agent
