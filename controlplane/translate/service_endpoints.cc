#include "controlplane/translate/service_endpoints.h"

#include <absl/strings/str_cat.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace heddle::controlplane::translate {
namespace {

namespace wire = istio::workload;

// The number of the port that the service's port leads to on this pod; empty if the pod has no port
// of that name.
std::optional<uint16_t> TargetOn(const api::ServicePort& port, const api::Pod& pod) {
  if (const auto* number = std::get_if<uint16_t>(&port.target)) return *number;
  const std::string& name = std::get<std::string>(port.target);
  for (const api::ContainerPort& named : pod.named_ports) {
    if (named.name == name) return named.port;
  }
  return std::nullopt;
}

// A slice has the ports of its service under the same names, already resolved.
std::optional<uint16_t> TargetIn(const api::ServicePort& port, const api::EndpointSlice& slice) {
  for (const api::EndpointPort& resolved : slice.ports) {
    if (resolved.name == port.name) return resolved.port;
  }
  return std::nullopt;
}

template <typename Resolve>
wire::PortList PortsOf(const api::Service& service, Resolve resolve) {
  wire::PortList list;
  for (const api::ServicePort& port : service.ports) {
    const std::optional<uint16_t> target = resolve(port);
    if (!target.has_value()) continue;
    wire::Port* out = list.add_ports();
    out->set_service_port(port.port);
    out->set_target_port(*target);
    out->set_app_protocol(AppProtocolOf(port));
  }
  return list;
}

}  // namespace

wire::PortList PortsIn(const api::Service& service, const api::EndpointSlice& slice) {
  return PortsOf(service, [&](const api::ServicePort& port) { return TargetIn(port, slice); });
}

wire::PortList PortsOn(const api::Service& service, const api::Pod& pod) {
  return PortsOf(service, [&](const api::ServicePort& port) { return TargetOn(port, pod); });
}

std::string ForeignUid(const api::EndpointSlice& slice, const io::IpAddress& address,
                       const MeshOptions& options) {
  return absl::StrCat(options.cluster_id, "/discovery.k8s.io/EndpointSlice/", slice.meta.name_space,
                      "/", slice.meta.name, "/", address.ToString());
}

namespace {

using SlicesByService = std::map<api::NamespacedName, std::vector<const api::EndpointSlice*>>;

class EndpointFinder {
 public:
  EndpointFinder(const api::ObjectStore& objects, const MeshOptions& options)
      : objects_(objects), options_(options) {
    for (const auto& [name, slice] : objects.All<api::EndpointSlice>()) {
      if (!slice->service.empty())
        slices_[{name.name_space, slice->service}].push_back(slice.get());
    }
  }

  Endpoints Find() && {
    for (const auto& [name, service] : objects_.All<api::Service>()) {
      if (service->external_name) continue;
      const auto slices = slices_.find(name);
      if (slices == slices_.end()) {
        AddSelected(*service);
        continue;
      }
      for (const api::EndpointSlice* slice : slices->second) AddSlice(*service, *slice);
    }
    for (auto& [uid, endpoint] : foreign_) endpoints_.foreign.push_back(std::move(endpoint));
    return std::move(endpoints_);
  }

 private:
  void AddSelected(const api::Service& service) {
    if (service.selector.empty()) return;
    const auto& pods = objects_.All<api::Pod>();
    // Namespaces are contiguous in the table.
    for (auto at = pods.lower_bound({service.meta.name_space, ""}); at != pods.end(); ++at) {
      if (at->first.name_space != service.meta.name_space) break;
      const api::Pod& pod = *at->second;
      if (!api::Selects(service.selector, pod.meta.labels)) continue;
      endpoints_.pods[at->first][ServiceKey(service.meta, options_)] = PortsOn(service, pod);
    }
  }

  void AddSlice(const api::Service& service, const api::EndpointSlice& slice) {
    const wire::PortList ports = PortsIn(service, slice);
    const std::string key = ServiceKey(service.meta, options_);
    for (const api::Endpoint& endpoint : slice.endpoints) {
      if (!endpoint.ready && !service.publish_not_ready) continue;
      // A pod is reached by its own addresses and identity, whatever addresses a slice claims for
      // it.
      const api::NamespacedName pod{slice.meta.name_space, endpoint.pod};
      if (objects_.Find<api::Pod>(pod) != nullptr) {
        endpoints_.pods[pod][key].MergeFrom(ports);
        continue;
      }
      for (const io::IpAddress& address : endpoint.addresses)
        AddForeign(slice, endpoint, address).services[key] = ports;
    }
  }

  ForeignEndpoint& AddForeign(const api::EndpointSlice& slice, const api::Endpoint& endpoint,
                              const io::IpAddress& address) {
    std::string uid = ForeignUid(slice, address, options_);
    ForeignEndpoint& foreign = foreign_[uid];
    foreign.uid = std::move(uid);
    foreign.slice = &slice;
    foreign.endpoint = &endpoint;
    foreign.address = address;
    return foreign;
  }

  const api::ObjectStore& objects_;
  const MeshOptions& options_;
  SlicesByService slices_;
  std::map<std::string, ForeignEndpoint> foreign_;
  Endpoints endpoints_;
};

}  // namespace

std::string ServiceHostname(const api::ObjectMeta& service, const MeshOptions& options) {
  return absl::StrCat(service.name, ".", service.name_space, ".svc.", options.cluster_domain);
}

std::string ServiceKey(const api::ObjectMeta& service, const MeshOptions& options) {
  return absl::StrCat(service.name_space, "/", ServiceHostname(service, options));
}

wire::AppProtocol AppProtocolOf(const api::ServicePort& port) {
  // appProtocol, or the part of the name before the first '-'.
  const std::string protocol =
      port.app_protocol.empty() ? port.name.substr(0, port.name.find('-')) : port.app_protocol;
  if (protocol == "http" || protocol == "kubernetes.io/ws") return wire::HTTP11;
  if (protocol == "http2" || protocol == "kubernetes.io/h2c") return wire::HTTP2;
  if (protocol == "grpc") return wire::GRPC;
  if (protocol == "tcp") return wire::TCP;
  if (protocol == "tls" || protocol == "https" || protocol == "kubernetes.io/wss") return wire::TLS;
  return wire::UNKNOWN;
}

Endpoints FindEndpoints(const api::ObjectStore& objects, const MeshOptions& options) {
  return EndpointFinder(objects, options).Find();
}

}  // namespace heddle::controlplane::translate
