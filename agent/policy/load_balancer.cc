#include "agent/policy/load_balancer.h"

#include <algorithm>
#include <optional>
#include <span>

namespace heddle::agent {
namespace {

// How often a random endpoint is tried before all are looked at. A service in good health needs one try.
constexpr int kSampleTries = 8;

bool SameScope(LoadBalancingScope scope, const Workload& a, const Workload& b) {
  switch (scope) {
    case LoadBalancingScope::kRegion: return a.locality.region == b.locality.region;
    case LoadBalancingScope::kZone: return a.locality.zone == b.locality.zone;
    case LoadBalancingScope::kSubzone: return a.locality.subzone == b.locality.subzone;
    case LoadBalancingScope::kNode: return a.node == b.node;
    case LoadBalancingScope::kCluster: return a.cluster_id == b.cluster_id;
    case LoadBalancingScope::kNetwork: return a.network == b.network;
  }
  return false;
}

// How well an endpoint fits the preferences; empty: not at all. Failover counts leading matches; a network in first
// place outweighs all others, and its mismatch does not stop the count.
std::optional<size_t> Rank(const LoadBalancing& balancing, const Workload& source, const Workload& endpoint) {
  const auto& preferences = balancing.preferences;
  switch (balancing.mode) {
    case LoadBalancingMode::kAny:
    case LoadBalancingMode::kPassthrough: return 0;
    case LoadBalancingMode::kStrict:
      for (const LoadBalancingScope scope : preferences) {
        if (!SameScope(scope, source, endpoint)) return std::nullopt;
      }
      return 0;
    case LoadBalancingMode::kFailover: break;
  }
  size_t rank = 0;
  for (size_t i = 0; i < preferences.size(); ++i) {
    const bool network_first = i == 0 && preferences[i] == LoadBalancingScope::kNetwork;
    if (SameScope(preferences[i], source, endpoint)) {
      rank += network_first ? preferences.size() : 1;
    } else if (!network_first) {
      break;
    }
  }
  return rank;
}

std::span<const PortMapping> PortsOf(const Endpoint& endpoint) {
  if (endpoint.usual) return {&endpoint.port, 1};
  return endpoint.membership->ports;
}

// 0: none.
uint16_t TargetPort(const Service& service, const Endpoint& endpoint, uint16_t service_port) {
  for (const PortMapping& port : PortsOf(endpoint)) {
    if (port.service_port == service_port && port.target_port != 0) return port.target_port;
  }
  const PortMapping* port = service.FindPort(service_port);
  return port == nullptr ? 0 : port->target_port;
}

std::span<const io::IpAddress> AddressesOf(const Endpoint& endpoint) {
  if (endpoint.usual) return {&endpoint.address, 1};
  return endpoint.workload->addresses;
}

// nullptr: none.
const io::IpAddress* ChooseAddress(const Endpoint& endpoint, IpFamilies families, const io::IpAddress& wanted) {
  const io::IpAddress* first = nullptr;
  const io::IpAddress* same_family = nullptr;
  for (const io::IpAddress& address : AddressesOf(endpoint)) {
    if (address == wanted) return &address;
    if (families == (address.is_v4() ? IpFamilies::kV6 : IpFamilies::kV4)) continue;
    if (first == nullptr) first = &address;
    if (same_family == nullptr && address.is_v4() == wanted.is_v4()) same_family = &address;
  }
  return same_family != nullptr ? same_family : first;
}

enum class Fit : uint8_t { kNo, kOtherNetwork, kYes };

struct Candidate {
  Fit fit = Fit::kNo;
  io::SocketAddress target;
};

Fit FitOf(const Workload& workload, const BalancingRequest& request) {
  if (workload.capacity == 0) return Fit::kNo;
  if (!workload.healthy && !request.service.load_balancing.include_unhealthy) return Fit::kNo;
  return workload.network == request.source.network ? Fit::kYes : Fit::kOtherNetwork;
}

Candidate Consider(const BalancingRequest& request, const Endpoint& endpoint) {
  const uint16_t port = TargetPort(request.service, endpoint, request.destination.port);
  if (port == 0) return {};
  const bool usual = endpoint.usual && request.source.network.empty();
  if (const Fit fit = usual ? Fit::kYes : FitOf(*endpoint.workload, request); fit != Fit::kYes) return {.fit = fit};
  const io::IpAddress* address = ChooseAddress(endpoint, request.service.ip_families, request.destination.ip);
  if (address == nullptr) return {};
  return {.fit = Fit::kYes, .target = {*address, port}};
}

// Without preferences and weights all that fit are equal: draw until one fits, which is exact, and cheap for
// services with thousands of endpoints.
Choice Sample(const std::vector<Endpoint>& endpoints, const BalancingRequest& request, Random& random) {
  for (int i = 0; i < kSampleTries; ++i) {
    const Endpoint& endpoint = endpoints[random.Below(endpoints.size())];
    const Candidate candidate = Consider(request, endpoint);
    if (candidate.fit == Fit::kYes) return {&endpoint, candidate.target};
  }
  return {};
}

// One pass: each endpoint of the best rank so far replaces the choice with probability weight / weights so far.
Choice Scan(const std::vector<Endpoint>& endpoints, const BalancingRequest& request, Random& random) {
  Choice choice;
  size_t best_rank = 0;
  uint64_t weights = 0;
  for (const Endpoint& endpoint : endpoints) {
    const Candidate candidate = Consider(request, endpoint);
    if (candidate.fit == Fit::kOtherNetwork) choice.other_network = true;
    if (candidate.fit != Fit::kYes) continue;
    const auto rank = Rank(request.service.load_balancing, request.source, *endpoint.workload);
    if (!rank.has_value() || (choice.endpoint != nullptr && *rank < best_rank)) continue;
    if (choice.endpoint == nullptr || *rank > best_rank) weights = 0;
    best_rank = *rank;
    const uint64_t weight = endpoint.workload->capacity;
    weights += weight;
    if (random.Below(weights) < weight) choice = {&endpoint, candidate.target};
  }
  return choice;
}

}  // namespace

Choice ChooseEndpoint(const State& state, const BalancingRequest& request, Random& random) {
  const std::vector<Endpoint>& endpoints = state.FindEndpoints(request.service.id);
  if (endpoints.empty()) return {};
  const LoadBalancingMode mode = request.service.load_balancing.mode;
  if (mode == LoadBalancingMode::kAny && !state.HasWeights(request.service.id)) {
    if (const Choice choice = Sample(endpoints, request, random); choice.endpoint != nullptr) return choice;
  }
  return Scan(endpoints, request, random);
}

}  // namespace heddle::agent
