#include "agent/xds/held_resources.h"

namespace heddle::agent {

std::string_view TypeUrl(ResourceKind kind) {
  switch (kind) {
    case ResourceKind::kAddress: return "type.googleapis.com/istio.workload.Address";
    case ResourceKind::kAuthorization: return "type.googleapis.com/istio.security.Authorization";
    case ResourceKind::kNodePod: return "type.googleapis.com/heddle.node.v1.NodePod";
  }
  return "";
}

std::optional<ResourceKind> KindOf(std::string_view type_url) {
  for (const ResourceKind kind : kAllResourceKinds) {
    if (TypeUrl(kind) == type_url) return kind;
  }
  return std::nullopt;
}

}  // namespace heddle::agent
