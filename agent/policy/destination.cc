#include "agent/policy/destination.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "agent/policy/load_balancer.h"

namespace heddle::agent {
namespace {

RefusedHop Refuse(FailureReason reason, std::string sentence, ServiceRef service = nullptr) {
  return {.reason = reason, .sentence = std::move(sentence), .service = std::move(service)};
}

// The waypoint's own traffic to its workload must not go to the waypoint again.
bool IsWaypointOf(const Workload& source, const State& state, const Workload& workload) {
  const GatewayAddress& waypoint = *workload.waypoint;
  const auto has_address = [&source](const io::IpAddress& ip) { return std::ranges::count(source.addresses, ip) > 0; };
  if (waypoint.ip.has_value()) {
    if (waypoint.network == source.network && has_address(*waypoint.ip)) return true;
    const ServiceRef service = state.FindService(waypoint.network, *waypoint.ip, source.name_space);
    return service != nullptr && std::ranges::any_of(source.services, [&service](const ServiceMembership& membership) {
             return membership.service == service->id;
           });
  }
  return std::ranges::any_of(source.services, [&waypoint](const ServiceMembership& membership) {
    return membership.service == *waypoint.service;
  });
}

// Looks at the workload only to refuse it: among thousands of endpoints each look is a cache miss.
NextHop ToWorkload(Reach reach, WorkloadRef workload, ServiceRef service, const io::SocketAddress& target) {
  if (reach.protocol == TunnelProtocol::kNone) {
    return PlainHop{.dial = target, .workload = std::move(workload), .service = std::move(service)};
  }
  if (!reach.identified && (service == nullptr || service->identities.empty())) {
    return Refuse(FailureReason::kNoUpstream,
                  absl::StrCat("workload ", workload->uid.ToString(), " has no identity that could be verified"),
                  std::move(service));
  }
  return HboneHop{.dial = {target.ip, kHbonePort},
                  .target = target,
                  .workload = std::move(workload),
                  .service = std::move(service)};
}

NextHop ToService(const State& state, const BalancingRequest& request, ServiceRef service, Random& random) {
  const std::string& id = service->id.ToString();
  const uint16_t port = request.destination.port;
  if (service->uses_waypoint()) {
    return Refuse(FailureReason::kNotSupported,
                  absl::StrCat("service ", id, " is reached through a waypoint"), service);
  }
  if (service->FindPort(port) == nullptr) {
    return Refuse(FailureReason::kNoUpstream, absl::StrCat("service ", id, " has no port ", port), service);
  }
  const Choice choice = ChooseEndpoint(state, request, random);
  if (choice.endpoint != nullptr) {
    return ToWorkload(choice.endpoint->reach, choice.endpoint->workload, std::move(service), choice.target);
  }
  if (choice.other_network) {
    return Refuse(FailureReason::kNotSupported, absl::StrCat("service ", id, " has endpoints on other networks only"),
                  service);
  }
  return Refuse(FailureReason::kNoUpstream, absl::StrCat("service ", id, " has no healthy endpoint for port ", port),
                service);
}

}  // namespace

bool HboneHop::Accepts(const tls::SpiffeId& peer) const {
  if (workload->identity.has_value() && *workload->identity == peer) return true;
  return service != nullptr && std::ranges::count(service->identities, peer) > 0;
}

std::vector<tls::SpiffeId> HboneHop::AcceptedIdentities() const {
  std::vector<tls::SpiffeId> identities;
  if (service != nullptr) identities = service->identities;
  if (workload->identity.has_value()) identities.push_back(*workload->identity);
  return identities;
}

NextHop FindNextHop(const State& state, const Workload& source, const io::SocketAddress& destination, Random& random) {
  ServiceRef service = state.FindService(source.network, destination.ip, source.name_space);
  if (service != nullptr && service->load_balancing.mode != LoadBalancingMode::kPassthrough) {
    return ToService(state, {*service, source, destination}, service, random);
  }
  if (service != nullptr && service->uses_waypoint()) {
    return Refuse(FailureReason::kNotSupported,
                  absl::StrCat("service ", service->id.ToString(), " is reached through a waypoint"), service);
  }
  WorkloadRef workload = state.FindWorkload(source.network, destination.ip);
  if (workload == nullptr) return PlainHop{.dial = destination, .service = std::move(service)};
  if (workload->waypoint.has_value() && !IsWaypointOf(source, state, *workload)) {
    return Refuse(FailureReason::kNotSupported,
                  absl::StrCat("workload ", workload->uid.ToString(), " is reached through a waypoint"));
  }
  const Reach reach(*workload);
  return ToWorkload(reach, std::move(workload), nullptr, destination);
}

}  // namespace heddle::agent
