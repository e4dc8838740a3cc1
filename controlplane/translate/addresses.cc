#include "controlplane/translate/addresses.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <utility>

#include "controlplane/translate/enrollment.h"

namespace heddle::controlplane::translate {
namespace {

namespace wire = istio::workload;

std::string Bytes(const io::IpAddress& address) {
  const std::span<const uint8_t> bytes = address.native_bytes();
  return std::string(bytes.begin(), bytes.end());
}

struct Owner {
  wire::WorkloadType type = wire::POD;
  std::string name;
};

// A CronJob's jobs are named after the minute they are for.
std::string_view WithoutTimestamp(std::string_view job) {
  const size_t dash = job.rfind('-');
  if (dash == std::string_view::npos || job.size() - dash <= 8) return job;
  const std::string_view digits = job.substr(dash + 1);
  return std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit) ? job.substr(0, dash) : job;
}

Owner OwnerOf(const api::Pod& pod) {
  for (const api::OwnerReference& owner : pod.meta.owners) {
    if (!owner.controller) continue;
    const std::string hash = absl::StrCat("-", std::string(pod.meta.Label("pod-template-hash")));
    if (owner.kind == "ReplicaSet" && hash.size() > 1 && owner.name.ends_with(hash)) {
      return {wire::DEPLOYMENT, owner.name.substr(0, owner.name.size() - hash.size())};
    }
    if (owner.kind == "Job") {
      const std::string_view cron_job = WithoutTimestamp(owner.name);
      return {cron_job.size() < owner.name.size() ? wire::CRONJOB : wire::JOB,
              std::string(cron_job)};
    }
    return {wire::POD, owner.name};
  }
  return {wire::POD, pod.meta.name};
}

std::string FirstLabel(const api::Pod& pod, std::initializer_list<std::string_view> keys,
                       std::string_view otherwise) {
  for (const std::string_view key : keys) {
    if (const std::string_view value = pod.meta.Label(key); !value.empty())
      return std::string(value);
  }
  return std::string(otherwise);
}

void SetLocality(const std::string& node_name, const api::ObjectStore& objects,
                 wire::Workload& workload) {
  const auto* node = objects.Find<api::Node>({"", node_name});
  if (node == nullptr) return;
  const std::string_view region = node->meta.Label("topology.kubernetes.io/region");
  const std::string_view zone = node->meta.Label("topology.kubernetes.io/zone");
  const std::string_view subzone = node->meta.Label("topology.istio.io/subzone");
  if (region.empty() && zone.empty() && subzone.empty()) return;
  workload.mutable_locality()->set_region(std::string(region));
  workload.mutable_locality()->set_zone(std::string(zone));
  workload.mutable_locality()->set_subzone(std::string(subzone));
}

void SetMesh(const MeshOptions& options, wire::Workload& workload) {
  if (options.trust_domain != "cluster.local") workload.set_trust_domain(options.trust_domain);
  if (options.cluster_id != "Kubernetes") workload.set_cluster_id(options.cluster_id);
}

void SetServices(const ServicePorts* services, wire::Workload& workload) {
  if (services == nullptr) return;
  for (const auto& [key, ports] : *services) (*workload.mutable_services())[key] = ports;
}

void SetLoadBalancing(const api::Service& service, wire::Service& message) {
  using LoadBalancing = wire::LoadBalancing;
  std::string distribution = service.traffic_distribution;
  if (const auto value = service.meta.Annotation("networking.istio.io/traffic-distribution");
      !value.empty()) {
    distribution = std::string(value);
  }
  std::vector<LoadBalancing::Scope> scopes;
  LoadBalancing::Mode mode = LoadBalancing::UNSPECIFIED_MODE;
  if (service.local_traffic_only) {
    mode = LoadBalancing::STRICT;
    scopes = {LoadBalancing::NODE};
  } else if (distribution == "PreferClose" || distribution == "PreferSameZone") {
    mode = LoadBalancing::FAILOVER;
    scopes = {LoadBalancing::NETWORK, LoadBalancing::REGION, LoadBalancing::ZONE};
  } else if (distribution == "PreferSameNode") {
    mode = LoadBalancing::FAILOVER;
    scopes = {LoadBalancing::NETWORK, LoadBalancing::REGION, LoadBalancing::ZONE,
              LoadBalancing::SUBZONE, LoadBalancing::NODE};
  }
  if (mode == LoadBalancing::UNSPECIFIED_MODE && !service.publish_not_ready) return;
  LoadBalancing* out = message.mutable_load_balancing();
  out->set_mode(mode);
  for (const LoadBalancing::Scope scope : scopes) out->add_routing_preference(scope);
  if (service.publish_not_ready) out->set_health_policy(LoadBalancing::ALLOW_ALL);
}

}  // namespace

wire::Workload PodWorkload(const api::Pod& pod, const api::ObjectStore& objects,
                           const MeshOptions& options, const WorkloadFacts& facts) {
  wire::Workload workload;
  const Owner owner = OwnerOf(pod);
  workload.set_uid(WorkloadUidOf(pod, options));
  workload.set_name(pod.meta.name);
  workload.set_namespace_(pod.meta.name_space);
  for (const io::IpAddress& address : pod.ips) workload.add_addresses(Bytes(address));
  workload.set_tunnel_protocol(facts.hbone ? wire::HBONE : wire::NONE);
  workload.set_service_account(pod.service_account);
  workload.set_node(pod.node_name);
  workload.set_canonical_name(FirstLabel(
      pod, {"service.istio.io/canonical-name", "app.kubernetes.io/name", "app"}, owner.name));
  workload.set_canonical_revision(FirstLabel(
      pod, {"service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"},
      "latest"));
  workload.set_workload_type(owner.type);
  workload.set_workload_name(owner.name);
  for (const std::string& policy : facts.policies) workload.add_authorization_policies(policy);
  workload.set_status(pod.ready && !pod.meta.deleting ? wire::HEALTHY : wire::UNHEALTHY);
  if (pod.host_network) workload.set_network_mode(wire::HOST_NETWORK);
  SetMesh(options, workload);
  SetServices(facts.services, workload);
  SetLocality(pod.node_name, objects, workload);
  return workload;
}

wire::Workload ForeignWorkload(const ForeignEndpoint& endpoint, const api::ObjectStore& objects,
                               const MeshOptions& options) {
  wire::Workload workload;
  workload.set_uid(endpoint.uid);
  workload.set_name(endpoint.slice->meta.name);
  workload.set_namespace_(endpoint.slice->meta.name_space);
  workload.add_addresses(Bytes(endpoint.address));
  workload.set_network_mode(wire::HOST_NETWORK);
  workload.set_node(endpoint.endpoint->node_name);
  SetMesh(options, workload);
  SetServices(&endpoint.services, workload);
  SetLocality(endpoint.endpoint->node_name, objects, workload);
  return workload;
}

wire::Service ServiceMessage(const api::Service& service, const MeshOptions& options) {
  wire::Service message;
  message.set_name(service.meta.name);
  message.set_namespace_(service.meta.name_space);
  message.set_hostname(ServiceHostname(service.meta, options));
  for (const io::IpAddress& address : service.addresses)
    message.add_addresses()->set_address(Bytes(address));
  for (const api::ServicePort& port : service.ports) {
    wire::Port* out = message.add_ports();
    out->set_service_port(port.port);
    if (const auto* number = std::get_if<uint16_t>(&port.target)) out->set_target_port(*number);
    out->set_app_protocol(AppProtocolOf(port));
  }
  SetLoadBalancing(service, message);
  if (service.ipv4 || service.ipv6) {
    message.set_ip_families(service.ipv4 && service.ipv6
                                ? wire::DUAL
                                : (service.ipv4 ? wire::IPV4_ONLY : wire::IPV6_ONLY));
  }
  message.set_canonical(true);
  return message;
}

Resource ForeignResource(const ForeignEndpoint& endpoint, const api::ObjectStore& objects,
                         const MeshOptions& options) {
  wire::Address address;
  *address.mutable_workload() = ForeignWorkload(endpoint, objects, options);
  return MakeResource(endpoint.uid, address);
}

Resource ServiceResource(const api::Service& service, const MeshOptions& options) {
  wire::Address address;
  *address.mutable_service() = ServiceMessage(service, options);
  return MakeResource(ServiceKey(service.meta, options), address);
}

}  // namespace heddle::controlplane::translate
