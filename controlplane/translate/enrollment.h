#pragma once

#include <optional>
#include <string_view>

#include "controlplane/api/object_store.h"
#include "controlplane/translate/mesh_options.h"

namespace heddle::controlplane::translate {

// Whether a pod is to be captured: label istio.io/dataplane-mode=ambient on it, or on its namespace
// unless the pod says "none". Never: pods on the host's network, pods with another mesh's sidecar, pods
// of excluded namespaces.
bool IsEnrolled(const api::Pod& pod, const api::ObjectStore& objects, const MeshOptions& options);

// What its namespace alone says about a pod; empty while the Namespace object is not there.
std::optional<bool> IsNamespaceEnrolled(std::string_view name, const api::ObjectStore& objects,
                                        const MeshOptions& options);

// spiffe://<trust domain>/ns/<namespace>/sa/<service account>
std::string IdentityOf(const api::Pod& pod, const MeshOptions& options);

// The uid of a pod's Workload: <cluster>//Pod/<namespace>/<name>
std::string WorkloadUidOf(const api::Pod& pod, const MeshOptions& options);

}  // namespace heddle::controlplane::translate
