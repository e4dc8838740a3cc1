#include "controlplane/sources/watched_kinds.h"

namespace heddle::controlplane::sources {

using api::Kind;

// Istio serves security.istio.io/v1 from 1.22 on; the cluster's own kinds are what every supported
// Kubernetes has.
const std::vector<WatchedKind>& WatchedKinds() {
  static const std::vector<WatchedKind> kKinds = {
      {Kind::kNamespace, {"/api/v1/namespaces"}},
      {Kind::kNode, {"/api/v1/nodes"}},
      {Kind::kPod, {"/api/v1/pods"}},
      {Kind::kService, {"/api/v1/services"}},
      {Kind::kEndpointSlice, {"/apis/discovery.k8s.io/v1/endpointslices"}},
      {Kind::kPeerAuthentication,
       {"/apis/security.istio.io/v1/peerauthentications",
        "/apis/security.istio.io/v1beta1/peerauthentications"}},
      {Kind::kAuthorizationPolicy,
       {"/apis/security.istio.io/v1/authorizationpolicies",
        "/apis/security.istio.io/v1beta1/authorizationpolicies"}},
      {Kind::kInterceptionPolicy, {"/apis/heddle.io/v1alpha1/interceptionpolicies"}},
  };
  return kKinds;
}

}  // namespace heddle::controlplane::sources
