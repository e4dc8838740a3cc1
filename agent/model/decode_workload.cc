#include <absl/strings/str_cat.h>

#include <algorithm>
#include <span>
#include <utility>

#include "agent/model/decode.h"
#include "agent/model/decode_values.h"
#include "lib/base/status.h"

namespace heddle::agent {
namespace {

namespace wire = istio::workload;

absl::StatusOr<GatewayAddress> DecodeGateway(const wire::GatewayAddress& message, std::string_view what) {
  GatewayAddress gateway;
  TRY_ASSIGN(gateway.hbone_port, DecodePort(message.hbone_mtls_port(), what));
  switch (message.destination_case()) {
    case wire::GatewayAddress::kHostname:
      gateway.service = ServiceName(absl::StrCat(message.hostname().namespace_(), "/", message.hostname().hostname()));
      return gateway;
    case wire::GatewayAddress::kAddress: {
      TRY_ASSIGN(gateway.ip, DecodeAddress(message.address().address(), what));
      gateway.network = message.address().network();
      return gateway;
    }
    case wire::GatewayAddress::DESTINATION_NOT_SET: break;
  }
  return absl::InvalidArgumentError(absl::StrCat(std::string(what), " has no destination"));
}

// Of messages or of views.
uint32_t ServicePort(const wire::Port& port) { return port.service_port(); }
uint32_t TargetPort(const wire::Port& port) { return port.target_port(); }
uint32_t ServicePort(const WorkloadView::Port& port) { return port.service_port; }
uint32_t TargetPort(const WorkloadView::Port& port) { return port.target_port; }

template <typename Ports>
absl::StatusOr<std::vector<PortMapping>> DecodePorts(const Ports& given) {
  const int count = static_cast<int>(given.size());
  if (count > kMaxServicePorts) return TooMany("ports", count, kMaxServicePorts);
  std::vector<PortMapping> ports;
  ports.reserve(given.size());
  for (const auto& one : given) {
    PortMapping port;
    TRY_ASSIGN(port.service_port, DecodePort(ServicePort(one), "service port"));
    if (TargetPort(one) != 0) {
      TRY_ASSIGN(port.target_port, DecodePort(TargetPort(one), "target port"));
    }
    ports.push_back(port);
  }
  return ports;
}

absl::Status DecodeEnums(const WorkloadView& view, Workload& workload) {
  switch (view.tunnel_protocol) {
    case wire::NONE: workload.protocol = TunnelProtocol::kNone; break;
    case wire::HBONE: workload.protocol = TunnelProtocol::kHbone; break;
    case wire::LEGACY_ISTIO_MTLS:
      return absl::InvalidArgumentError("tunnel protocol LEGACY_ISTIO_MTLS is not supported; the workload needs HBONE");
    default: return UnknownEnum("tunnel protocol", view.tunnel_protocol);
  }
  switch (view.workload_type) {
    case wire::DEPLOYMENT: workload.type = WorkloadType::kDeployment; break;
    case wire::CRONJOB: workload.type = WorkloadType::kCronJob; break;
    case wire::POD: workload.type = WorkloadType::kPod; break;
    case wire::JOB: workload.type = WorkloadType::kJob; break;
    default: return UnknownEnum("workload type", view.workload_type);
  }
  switch (view.status) {
    case wire::HEALTHY: workload.healthy = true; break;
    case wire::UNHEALTHY: workload.healthy = false; break;
    default: return UnknownEnum("workload status", view.status);
  }
  switch (view.network_mode) {
    case wire::STANDARD: workload.host_network = false; break;
    case wire::HOST_NETWORK: workload.host_network = true; break;
    default: return UnknownEnum("network mode", view.network_mode);
  }
  return absl::OkStatus();
}

absl::Status DecodeServices(const WorkloadView& view, SharedParts& shared, Workload& workload) {
  const int count = static_cast<int>(view.services.size());
  if (count > kMaxWorkloadServices) return TooMany("services", count, kMaxWorkloadServices);
  workload.services.reserve(view.services.size());
  for (const WorkloadView::Service& service : view.services) {
    ServiceMembership membership{.service = ServiceName(shared.Text(TextKind::kService, service.name))};
    const auto ports = std::span(view.ports).subspan(service.ports_begin, service.ports_end - service.ports_begin);
    TRY_ASSIGN(membership.ports, DecodePorts(ports));
    workload.services.push_back(std::move(membership));
  }
  std::sort(workload.services.begin(), workload.services.end(),
            [](const auto& a, const auto& b) { return a.service < b.service; });
  return absl::OkStatus();
}

void DecodeTexts(const WorkloadView& view, SharedParts& shared, Workload& workload) {
  workload.uid = WorkloadUid(view.uid);
  workload.name = SharedString(view.name);
  workload.name_space = shared.Text(TextKind::kNamespace, view.name_space);
  workload.network = shared.Text(TextKind::kNetwork, view.network);
  workload.cluster_id = shared.Text(TextKind::kCluster, view.cluster_id.empty() ? "Kubernetes" : view.cluster_id);
  workload.node = shared.Text(TextKind::kNode, view.node);
  workload.hostname = shared.Text(TextKind::kHostname, view.hostname);
  // A pod that belongs to nothing is its own.
  workload.workload_name =
      view.workload_name == view.name ? workload.name : shared.Text(TextKind::kOwner, view.workload_name);
  workload.canonical_name = shared.Text(TextKind::kCanonicalName, view.canonical_name);
  workload.canonical_revision = shared.Text(TextKind::kRevision, view.canonical_revision);
  workload.locality = {shared.Text(TextKind::kRegion, view.region), shared.Text(TextKind::kZone, view.zone),
                       shared.Text(TextKind::kSubzone, view.subzone)};
}

absl::Status DecodeGateways(const wire::Workload& message, Workload& workload) {
  if (message.has_waypoint()) {
    TRY_ASSIGN(workload.waypoint, DecodeGateway(message.waypoint(), "waypoint"));
  }
  if (message.has_network_gateway()) {
    TRY_ASSIGN(workload.network_gateway, DecodeGateway(message.network_gateway(), "network gateway"));
  }
  if (!message.has_application_tunnel()) return absl::OkStatus();
  ApplicationTunnel tunnel;
  switch (message.application_tunnel().protocol()) {
    case wire::ApplicationTunnel::NONE: tunnel.protocol = ApplicationTunnelProtocol::kNone; break;
    case wire::ApplicationTunnel::PROXY: tunnel.protocol = ApplicationTunnelProtocol::kProxy; break;
    default: return UnknownEnum("application tunnel protocol", message.application_tunnel().protocol());
  }
  if (message.application_tunnel().port() != 0) {
    TRY_ASSIGN(tunnel.port, DecodePort(message.application_tunnel().port(), "application tunnel port"));
  }
  workload.application_tunnel = tunnel;
  return absl::OkStatus();
}

absl::StatusOr<LoadBalancing> DecodeLoadBalancing(const wire::LoadBalancing& message) {
  LoadBalancing balancing;
  switch (message.mode()) {
    case wire::LoadBalancing::UNSPECIFIED_MODE: balancing.mode = LoadBalancingMode::kAny; break;
    case wire::LoadBalancing::STRICT: balancing.mode = LoadBalancingMode::kStrict; break;
    case wire::LoadBalancing::FAILOVER: balancing.mode = LoadBalancingMode::kFailover; break;
    case wire::LoadBalancing::PASSTHROUGH: balancing.mode = LoadBalancingMode::kPassthrough; break;
    default: return UnknownEnum("load balancing mode", message.mode());
  }
  switch (message.health_policy()) {
    case wire::LoadBalancing::ONLY_HEALTHY: balancing.include_unhealthy = false; break;
    case wire::LoadBalancing::ALLOW_ALL: balancing.include_unhealthy = true; break;
    default: return UnknownEnum("health policy", message.health_policy());
  }
  for (const int scope : message.routing_preference()) {
    switch (scope) {
      case wire::LoadBalancing::REGION: balancing.preferences.push_back(LoadBalancingScope::kRegion); break;
      case wire::LoadBalancing::ZONE: balancing.preferences.push_back(LoadBalancingScope::kZone); break;
      case wire::LoadBalancing::SUBZONE: balancing.preferences.push_back(LoadBalancingScope::kSubzone); break;
      case wire::LoadBalancing::NODE: balancing.preferences.push_back(LoadBalancingScope::kNode); break;
      case wire::LoadBalancing::CLUSTER: balancing.preferences.push_back(LoadBalancingScope::kCluster); break;
      case wire::LoadBalancing::NETWORK: balancing.preferences.push_back(LoadBalancingScope::kNetwork); break;
      default: return UnknownEnum("routing preference", scope);
    }
  }
  // Scopes are six; more can only repeat themselves.
  if (balancing.preferences.size() > 6) {
    return TooMany("routing preferences", static_cast<int>(balancing.preferences.size()), 6);
  }
  return balancing;
}

absl::Status DecodeServiceAddresses(const wire::Service& message, Service& service) {
  if (message.addresses_size() > kMaxServiceAddresses) {
    return TooMany("service addresses", message.addresses_size(), kMaxServiceAddresses);
  }
  for (const wire::NetworkAddress& address : message.addresses()) {
    const auto full_length = static_cast<uint32_t>(address.address().size() * 8);
    const uint32_t length = address.has_length() ? address.length() : full_length;
    TRY_ASSIGN(const io::IpPrefix prefix, DecodePrefix(address.address(), length, "service address"));
    service.addresses.push_back({SharedString(address.network()), prefix});
  }
  return absl::OkStatus();
}

// Names that are not SPIFFE ids of ours (DNS names of external services) are nobody that a tunnel could end at:
// leaving them out accepts fewer peers, not more.
absl::Status DecodeServiceIdentities(const wire::Service& message, Service& service) {
  if (message.subject_alt_names_size() > kMaxServiceIdentities) {
    return TooMany("subject alternative names", message.subject_alt_names_size(), kMaxServiceIdentities);
  }
  for (const std::string& name : message.subject_alt_names()) {
    if (auto id = tls::SpiffeId::Parse(name); id.ok()) service.identities.push_back(*std::move(id));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<Workload>> DecodeWorkload(const WorkloadView& view, SharedParts& shared) {
  if (view.uid.empty()) return absl::InvalidArgumentError("the workload has no uid");
  // Where it stays: there are a hundred thousand, and to move one is to move twenty texts and lists.
  auto decoded = std::make_shared<Workload>();
  Workload& workload = *decoded;
  workload.native_tunnel = view.native_tunnel;
  workload.capacity = view.capacity;
  DecodeTexts(view, shared, workload);
  TRY_STATUS(DecodeEnums(view, workload));
  if (view.addresses.size() > kMaxWorkloadAddresses) {
    return TooMany("addresses", static_cast<int>(view.addresses.size()), kMaxWorkloadAddresses);
  }
  workload.addresses.reserve(view.addresses.size());
  for (const std::string_view bytes : view.addresses) {
    TRY_ASSIGN(const io::IpAddress address, DecodeAddress(bytes, "address"));
    workload.addresses.push_back(address);
  }
  if (!view.name_space.empty()) {
    TRY_ASSIGN(workload.identity, shared.Identity(view.trust_domain, view.name_space, view.service_account));
  }
  TRY_STATUS(DecodeServices(view, shared, workload));
  if (view.authorization_policies.size() > kMaxPolicyReferences) {
    return TooMany("authorization policies", static_cast<int>(view.authorization_policies.size()),
                   kMaxPolicyReferences);
  }
  for (const std::string_view name : view.authorization_policies) {
    workload.authorization_policies.emplace_back(shared.Text(TextKind::kPolicy, name));
  }
  return decoded;
}

absl::StatusOr<WorkloadRef> DecodeWorkload(const wire::Workload& message, SharedParts& shared) {
  WorkloadView view;
  ViewWorkload(message, view);
  TRY_ASSIGN(const std::shared_ptr<Workload> workload, DecodeWorkload(view, shared));
  TRY_STATUS(DecodeGateways(message, *workload));
  return workload;
}

absl::StatusOr<Service> DecodeService(const wire::Service& message) {
  if (message.hostname().empty()) return absl::InvalidArgumentError("the service has no hostname");
  Service service{.name = message.name(),
                  .name_space = message.namespace_(),
                  .hostname = message.hostname(),
                  .id = ServiceName(absl::StrCat(message.namespace_(), "/", message.hostname())),
                  .canonical = message.canonical(),
                  .visible_in_namespace_only = message.visibility() == wire::Service::NAMESPACE,
                  .has_weighted_waypoints = !message.weighted_waypoints().empty()};
  TRY_STATUS(DecodeServiceAddresses(message, service));
  TRY_STATUS(DecodeServiceIdentities(message, service));
  TRY_ASSIGN(service.ports, DecodePorts(message.ports()));
  TRY_ASSIGN(service.load_balancing, DecodeLoadBalancing(message.load_balancing()));
  switch (message.ip_families()) {
    case wire::AUTOMATIC: service.ip_families = IpFamilies::kAutomatic; break;
    case wire::IPV4_ONLY: service.ip_families = IpFamilies::kV4; break;
    case wire::IPV6_ONLY: service.ip_families = IpFamilies::kV6; break;
    case wire::DUAL: service.ip_families = IpFamilies::kDual; break;
    default: return UnknownEnum("IP families", message.ip_families());
  }
  if (message.has_waypoint()) {
    TRY_ASSIGN(service.waypoint, DecodeGateway(message.waypoint(), "waypoint"));
  }
  return service;
}

}  // namespace heddle::agent
