#pragma once

#include <absl/status/status.h>

#include <span>
#include <string_view>
#include <vector>

#include "agent/model/address_decoder.h"
#include "agent/model/hash_order.h"
#include "agent/model/state.h"
#include "lib/base/run_both.h"

namespace heddle::agent {

// Workloads and services of a state that has none: an agent that starts with a hundred thousand on disk has each index
// made at once, at a fraction of what it costs to put one after the other. Decoding touches no state, so that several
// threads can fill loads, of which then one state is made; each load is one thread's at a time.
class AddressLoad {
 public:
  // Room for so many, of which most are workloads with an address and a service.
  void Reserve(size_t addresses);
  // No name twice, in other loads of the same state neither. What is refused is not in the load.
  absl::Status Add(std::string_view name, std::string_view bytes, AddressDecoder& decoder);

  // The following two end the loads, each about half of it, and may run at the same time. What is in a later load
  // comes after what is in an earlier one.
  static void BuildAddressIndex(std::span<AddressLoad> loads, State& state, EditId edit);
  static void BuildWorkloadsAndEndpoints(std::span<AddressLoad> loads, State& state, EditId edit);
  const std::vector<ServiceRef>& services() const { return services_; }
  size_t size() const { return workloads_.all.size() + services_.size(); }
  // What so many are worth: a second thread gains milliseconds from here on.
  static Threads ThreadsFor(size_t addresses) {
    return addresses < 1000 ? Threads::kOne : Threads::kTwo;
  }

 private:
  // What an index will be made of, and the hashes of its keys: computed while they are in the CPU's cache.
  template <typename Entry>
  struct Hashed {
    std::vector<Entry> all;
    std::vector<uint64_t> digits;

    void Add(uint64_t hash, Entry entry) {
      digits.push_back(ReverseHashDigits(hash));
      all.push_back(std::move(entry));
    }
    void Reserve(size_t count) {
      all.reserve(count);
      digits.reserve(count);
    }
  };

  // One list of all loads, sorted.
  template <typename Entry>
  struct Merged;

  void AddWorkload(const WorkloadRef& workload);

  Hashed<PersistentMap<WorkloadUid, WorkloadRef>::Entry> workloads_;
  // Views of what is in the workloads.
  Hashed<Grouped<NetworkAddressRef, WorkloadRef>> by_address_;
  Hashed<Grouped<IdView<ServiceName>, Endpoint>> by_service_;
  std::vector<WorkloadRef> weighted_;
  std::vector<ServiceRef> services_;
};

}  // namespace heddle::agent
