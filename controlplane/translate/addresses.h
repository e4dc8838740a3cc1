#pragma once

#include "controlplane/api/object_store.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/resource.h"
#include "controlplane/translate/service_endpoints.h"
#include "proto/workload.pb.h"

// Workloads and services as istio.workload messages (ambient's field rules: docs of the wire,
// section 3.6).
namespace heddle::controlplane::translate {

// What decides about a pod's Workload besides the pod itself.
struct WorkloadFacts {
  const ServicePorts* services = nullptr;  // Null: none.
  std::vector<std::string> policies;       // Names of those with a selector, sorted.
  bool hbone = false;                      // Enrolled, and reported captured.
};

istio::workload::Workload PodWorkload(const api::Pod& pod, const api::ObjectStore& objects,
                                      const MeshOptions& options, const WorkloadFacts& facts);
// Not found by address, without an identity: the mesh knows nothing about it but that a service
// leads to it.
istio::workload::Workload ForeignWorkload(const ForeignEndpoint& endpoint,
                                          const api::ObjectStore& objects,
                                          const MeshOptions& options);
istio::workload::Service ServiceMessage(const api::Service& service, const MeshOptions& options);

// The same as resources of kAddressType.
Resource ForeignResource(const ForeignEndpoint& endpoint, const api::ObjectStore& objects,
                         const MeshOptions& options);
Resource ServiceResource(const api::Service& service, const MeshOptions& options);

}  // namespace heddle::controlplane::translate
