#include <absl/strings/str_cat.h>

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

absl::StatusOr<std::vector<PortMapping>> DecodePorts(const google::protobuf::RepeatedPtrField<wire::Port>& messages) {
  if (messages.size() > kMaxServicePorts) return TooMany("ports", messages.size(), kMaxServicePorts);
  std::vector<PortMapping> ports;
  ports.reserve(messages.size());
  for (const wire::Port& message : messages) {
    PortMapping port;
    TRY_ASSIGN(port.service_port, DecodePort(message.service_port(), "service port"));
    if (message.target_port() != 0) {
      TRY_ASSIGN(port.target_port, DecodePort(message.target_port(), "target port"));
    }
    ports.push_back(port);
  }
  return ports;
}

absl::Status DecodeEnums(const wire::Workload& message, Workload& workload) {
  switch (message.tunnel_protocol()) {
    case wire::NONE: workload.protocol = TunnelProtocol::kNone; break;
    case wire::HBONE: workload.protocol = TunnelProtocol::kHbone; break;
    case wire::LEGACY_ISTIO_MTLS:
      return absl::InvalidArgumentError("tunnel protocol LEGACY_ISTIO_MTLS is not supported; the workload needs HBONE");
    default: return UnknownEnum("tunnel protocol", message.tunnel_protocol());
  }
  switch (message.workload_type()) {
    case wire::DEPLOYMENT: workload.type = WorkloadType::kDeployment; break;
    case wire::CRONJOB: workload.type = WorkloadType::kCronJob; break;
    case wire::POD: workload.type = WorkloadType::kPod; break;
    case wire::JOB: workload.type = WorkloadType::kJob; break;
    default: return UnknownEnum("workload type", message.workload_type());
  }
  switch (message.status()) {
    case wire::HEALTHY: workload.healthy = true; break;
    case wire::UNHEALTHY: workload.healthy = false; break;
    default: return UnknownEnum("workload status", message.status());
  }
  switch (message.network_mode()) {
    case wire::STANDARD: workload.host_network = false; break;
    case wire::HOST_NETWORK: workload.host_network = true; break;
    default: return UnknownEnum("network mode", message.network_mode());
  }
  return absl::OkStatus();
}

absl::Status DecodeServices(const wire::Workload& message, Workload& workload) {
  const int count = static_cast<int>(message.services().size());
  if (count > kMaxWorkloadServices) return TooMany("services", count, kMaxWorkloadServices);
  for (const auto& [name, ports] : message.services()) {
    ServiceMembership membership{.service = ServiceName(name)};
    TRY_ASSIGN(membership.ports, DecodePorts(ports.ports()));
    workload.services.push_back(std::move(membership));
  }
  std::sort(workload.services.begin(), workload.services.end(),
            [](const auto& a, const auto& b) { return a.service < b.service; });
  return absl::OkStatus();
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
    service.addresses.push_back({address.network(), prefix});
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

absl::StatusOr<WorkloadRef> DecodeWorkload(const wire::Workload& message) {
  if (message.uid().empty()) return absl::InvalidArgumentError("the workload has no uid");
  // Where it stays: there are a hundred thousand, and to move one is to move twenty strings and lists.
  auto decoded = std::make_shared<Workload>();
  Workload& workload = *decoded;
  workload.native_tunnel = message.native_tunnel();
  workload.capacity = message.has_capacity() ? message.capacity().value() : 1;
  workload.uid = WorkloadUid(message.uid());
  workload.name = message.name();
  workload.name_space = message.namespace_();
  workload.network = message.network();
  workload.cluster_id = message.cluster_id().empty() ? "Kubernetes" : message.cluster_id();
  workload.node = message.node();
  workload.hostname = message.hostname();
  workload.workload_name = message.workload_name();
  workload.canonical_name = message.canonical_name();
  workload.canonical_revision = message.canonical_revision();
  workload.locality = {message.locality().region(), message.locality().zone(), message.locality().subzone()};
  TRY_STATUS(DecodeEnums(message, workload));
  if (message.addresses_size() > kMaxWorkloadAddresses) {
    return TooMany("addresses", message.addresses_size(), kMaxWorkloadAddresses);
  }
  for (const std::string& bytes : message.addresses()) {
    TRY_ASSIGN(const io::IpAddress address, DecodeAddress(bytes, "address"));
    workload.addresses.push_back(address);
  }
  if (!message.namespace_().empty()) {
    TRY_ASSIGN(workload.identity,
               MakeIdentity(message.trust_domain(), message.namespace_(), message.service_account()));
  }
  TRY_STATUS(DecodeServices(message, workload));
  if (message.authorization_policies_size() > kMaxPolicyReferences) {
    return TooMany("authorization policies", message.authorization_policies_size(), kMaxPolicyReferences);
  }
  for (const std::string& name : message.authorization_policies()) {
    workload.authorization_policies.emplace_back(name);
  }
  TRY_STATUS(DecodeGateways(message, workload));
  return decoded;
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

absl::StatusOr<DecodedAddress> DecodeAddressResource(std::string_view name, const wire::Address& message) {
  switch (message.type_case()) {
    case wire::Address::kWorkload: {
      TRY_ASSIGN(WorkloadRef workload, DecodeWorkload(message.workload()));
      if (workload->uid.ToString() != name) return NameDiffers("workload", workload->uid.ToString());
      return DecodedAddress{.workload = std::move(workload)};
    }
    case wire::Address::kService: {
      TRY_ASSIGN(Service service, DecodeService(message.service()));
      if (service.id.ToString() != name) return NameDiffers("service", service.id.ToString());
      return DecodedAddress{.service = std::make_shared<const Service>(std::move(service))};
    }
    case wire::Address::TYPE_NOT_SET: break;
  }
  return absl::InvalidArgumentError("it is neither a workload nor a service");
}

}  // namespace heddle::agent
