#pragma once

#include <map>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/translate/mesh_options.h"
#include "proto/workload.pb.h"

namespace heddle::controlplane::translate {

// <namespace>/<name>.<namespace>.svc.<domain>: a Service's resource name, and its key in a
// workload.
std::string ServiceKey(const api::ObjectMeta& service, const MeshOptions& options);
std::string ServiceHostname(const api::ObjectMeta& service, const MeshOptions& options);
istio::workload::AppProtocol AppProtocolOf(const api::ServicePort& port);

// The service's ports as they are on the endpoints of its slice, or on a pod that its selector names.
istio::workload::PortList PortsIn(const api::Service& service, const api::EndpointSlice& slice);
istio::workload::PortList PortsOn(const api::Service& service, const api::Pod& pod);
std::string ForeignUid(const api::EndpointSlice& slice, const io::IpAddress& address,
                       const MeshOptions& options);

// Services that one endpoint serves, with its ports, by ServiceKey.
using ServicePorts = std::map<std::string, istio::workload::PortList>;

// An endpoint of a slice that is no pod.
struct ForeignEndpoint {
  std::string uid;  // <cluster>/discovery.k8s.io/EndpointSlice/<namespace>/<slice>/<address>
  const api::EndpointSlice* slice = nullptr;
  const api::Endpoint* endpoint = nullptr;
  io::IpAddress address;
  ServicePorts services;
};

// Who serves what. A Service's endpoints are those of its EndpointSlices. A Service that has none,
// as in a directory that a person wrote, gets the pods that its selector names, as Kubernetes
// itself would.
struct Endpoints {
  std::map<api::NamespacedName, ServicePorts> pods;  // By the pod's name.
  std::vector<ForeignEndpoint> foreign;              // In the order of uids.
};

// Points into `objects`.
Endpoints FindEndpoints(const api::ObjectStore& objects, const MeshOptions& options);

}  // namespace heddle::controlplane::translate
