#pragma once

#include <optional>
#include <string>
#include <vector>

#include "controlplane/api/object_store.h"
#include "controlplane/api/problem.h"
#include "controlplane/translate/authorization.h"
#include "controlplane/translate/interception.h"
#include "controlplane/translate/mesh_options.h"
#include "controlplane/translate/peer_authentication.h"
#include "controlplane/translate/removal_phase.h"
#include "controlplane/translate/resource.h"
#include "controlplane/translate/service_endpoints.h"
#include "controlplane/translate/translate.h"

// What one pod comes to: the one place that says so, for the translation of everything and for that
// of what changed.
namespace heddle::controlplane::translate {

// What is the same for all pods. What it points to outlives it.
struct PodContext {
  const api::ObjectStore& objects;
  const CapturedPods& captured;
  const MeshOptions& options;
  const PolicySelectors& selectors;
  const PeerAuthentications& peers;
  const Interceptions& interceptions;
  RemovalPhase removal = RemovalPhase::kNone;
};

// What of other pods and of services decides about a pod.
struct PodSurroundings {
  // Another pod has the same uid. Two such cannot both be right, and a node would take one for the
  // other.
  bool shares_uid = false;
  const ServicePorts* services = nullptr;  // Null: it serves none.
};

struct PodDerivation {
  std::optional<Resource> workload;  // Once it has an address.
  std::optional<Resource> node_pod;  // For the node that it is bound to.
  std::string identity;              // That this node may have; empty: none.
  Interceptions::Choice interception;
  std::vector<api::ObjectStatus> notes;
};

// Whether a node can tell the pod from others, so that it can be captured and have an identity.
inline bool HasUsableUid(const api::Pod& pod, bool shares_uid) {
  return !pod.meta.uid.empty() && !shares_uid;
}

// Of a terminal pod nothing is left. Besides the pod itself it depends on its Namespace and its Node,
// the policies of its namespace and of the mesh, whether it is reported captured, and `surroundings`:
// IncrementalTranslation derives it again when one of those changes.
PodDerivation DerivePod(const api::Pod& pod, const PodContext& context,
                        const PodSurroundings& surroundings);

}  // namespace heddle::controlplane::translate
