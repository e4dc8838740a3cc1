#include "agent/model/state.h"

namespace heddle::agent {

Endpoint::Endpoint(WorkloadRef of_workload, const ServiceMembership& of)
    : workload(std::move(of_workload)), membership(&of), reach(*workload) {
  usual = workload->healthy && workload->capacity != 0 && workload->network.empty() &&
          workload->addresses.size() == 1 && membership->ports.size() == 1;
  if (!usual) return;
  port = membership->ports.front();
  address = workload->addresses.front();
}

namespace {

template <typename Map, typename Key>
auto FindRef(const Map& map, const Key& key) -> std::remove_cvref_t<decltype(*map.Find(key))> {
  const auto* found = map.Find(key);
  return found == nullptr ? nullptr : *found;
}

// Higher is better (ambient-wire.md section 6.2).
int Rank(const Workload& workload) {
  const bool pod = workload.uid.ToString().find("//Pod/") != std::string::npos;
  const bool hbone = workload.protocol == TunnelProtocol::kHbone;
  return (pod ? 2 : 0) + (hbone ? 1 : 0);
}

bool VisibleTo(const Service& service, std::string_view client_namespace) {
  return !service.visible_in_namespace_only || service.name_space == client_namespace;
}

// The best of several services as a client sees them: own namespace, then `length`, then canonical, then the first.
class BestService {
 public:
  explicit BestService(std::string_view client_namespace) : client_namespace_(client_namespace) {}

  void Consider(const std::vector<ServiceRef>& candidates, uint32_t length) {
    for (const ServiceRef& candidate : candidates) {
      if (!VisibleTo(*candidate, client_namespace_)) continue;
      const uint32_t rank = (candidate->name_space == client_namespace_ ? 1000 : 0) + 2 * length + candidate->canonical;
      if (best_ != nullptr && rank <= rank_) continue;
      best_ = &candidate;
      rank_ = rank;
    }
  }
  ServiceRef Take() const { return best_ == nullptr ? nullptr : *best_; }

 private:
  const std::string_view client_namespace_;
  const ServiceRef* best_ = nullptr;
  uint32_t rank_ = 0;
};

}  // namespace

WorkloadRef State::FindWorkload(const WorkloadUid& uid) const { return FindRef(workloads_, uid); }

WorkloadRef State::FindWorkload(std::string_view network, const io::IpAddress& ip) const {
  const WorkloadRef* best = nullptr;
  for (const WorkloadRef& candidate : FindMembers(workloads_by_address_, NetworkAddressView{network, ip})) {
    if (best == nullptr || Rank(*candidate) > Rank(**best)) best = &candidate;
  }
  return best == nullptr ? nullptr : *best;
}

ServiceRef State::FindService(const ServiceName& name) const { return FindRef(services_, name); }

ServiceRef State::FindService(std::string_view network, const io::IpAddress& ip,
                              std::string_view client_namespace) const {
  BestService exact(client_namespace);
  exact.Consider(FindMembers(services_by_address_, NetworkAddressView{network, ip}), 0);
  if (ServiceRef found = exact.Take(); found != nullptr) return found;

  BestService block(client_namespace);
  const bool v4 = ip.is_v4();
  const LengthCounts& lengths = v4 ? v4_lengths_ : v6_lengths_;
  for (uint32_t length = 0; length <= (v4 ? 32u : 128u); ++length) {
    if (lengths[length] == 0) continue;
    const NetworkPrefixView prefix{network, *io::IpPrefix::Make(ip, length)};
    block.Consider(FindMembers(services_by_prefix_, prefix), length);
  }
  return block.Take();
}

ServiceRef State::FindServiceByHostname(std::string_view hostname, std::string_view client_namespace) const {
  BestService best(client_namespace);
  best.Consider(FindMembers(services_by_hostname_, hostname), 0);
  return best.Take();
}

PolicyRef State::FindPolicy(const PolicyName& name) const { return FindRef(policies_, name); }

const Policy* State::FindPolicyOrNull(const PolicyName& name) const {
  const PolicyRef* found = policies_.Find(name);
  return found == nullptr ? nullptr : found->get();
}

NodePodRef State::FindNodePod(const PodUid& uid) const { return FindRef(node_pods_, uid); }

}  // namespace heddle::agent
