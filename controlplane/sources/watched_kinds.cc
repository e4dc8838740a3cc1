#include "controlplane/sources/watched_kinds.h"

#include <absl/strings/str_cat.h>

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

WatchedKind RemovalKind(const std::string& own_namespace) {
  return {.kind = Kind::kRemoval,
          .paths = {absl::StrCat("/api/v1/namespaces/", own_namespace, "/configmaps")},
          .field_selector = absl::StrCat("metadata.name=", api::kRemovalName)};
}

namespace {

std::vector<std::string> Paths(const std::string& group, const std::string& plural,
                               const std::vector<std::string>& versions) {
  std::vector<std::string> paths;
  for (const std::string& version : versions)
    paths.push_back(absl::StrCat("/apis/", group, "/", version, "/", plural));
  return paths;
}

}  // namespace

const std::vector<IgnoredKind>& IgnoredKinds() {
  const auto networking = [](const char* plural) {
    return Paths("networking.istio.io", plural, {"v1", "v1beta1"});
  };
  const auto gateway = [](const char* plural) {
    return Paths("gateway.networking.k8s.io", plural, {"v1", "v1beta1"});
  };
  static const std::vector<IgnoredKind> kKinds = {
      {"RequestAuthentication",
       Paths("security.istio.io", "requestauthentications", {"v1", "v1beta1"})},
      {"VirtualService", networking("virtualservices")},
      {"DestinationRule", networking("destinationrules")},
      {"Gateway of networking.istio.io", networking("gateways")},
      {"ServiceEntry", networking("serviceentries")},
      {"Sidecar", networking("sidecars")},
      {"WorkloadEntry", networking("workloadentries")},
      {"EnvoyFilter", Paths("networking.istio.io", "envoyfilters", {"v1alpha3"})},
      {"Telemetry", Paths("telemetry.istio.io", "telemetries", {"v1", "v1alpha1"})},
      {"Gateway of gateway.networking.k8s.io", gateway("gateways")},
      {"HTTPRoute", gateway("httproutes")},
      {"GRPCRoute", Paths("gateway.networking.k8s.io", "grpcroutes", {"v1"})},
  };
  return kKinds;
}

}  // namespace heddle::controlplane::sources
