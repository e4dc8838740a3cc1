#include "controlplane/translate/enrollment.h"

#include <absl/strings/str_cat.h>

namespace heddle::controlplane::translate {
namespace {

constexpr std::string_view kModeLabel = "istio.io/dataplane-mode";

// What the injectors of Istio, Linkerd and Kuma leave on a pod that has their proxy.
bool HasSidecar(const api::ObjectMeta& pod) {
  return !pod.Annotation("sidecar.istio.io/status").empty() ||
         !pod.Label("linkerd.io/control-plane-ns").empty() ||
         pod.Annotation("kuma.io/sidecar-injected") == "true";
}

}  // namespace

bool IsEnrolled(const api::Pod& pod, const api::ObjectStore& objects, const MeshOptions& options) {
  if (pod.host_network || HasSidecar(pod.meta)) return false;
  if (options.Exempts(pod.meta.name_space)) return false;
  const std::string_view own = pod.meta.Label(kModeLabel);
  if (own == "ambient") return true;
  if (own == "none") return false;
  return IsNamespaceEnrolled(pod.meta.name_space, objects, options).value_or(false);
}

std::optional<bool> IsNamespaceEnrolled(std::string_view name, const api::ObjectStore& objects,
                                        const MeshOptions& options) {
  if (options.Exempts(name)) return false;
  const auto* name_space = objects.Find<api::Namespace>({"", std::string(name)});
  if (name_space == nullptr) return std::nullopt;
  return name_space->meta.Label(kModeLabel) == "ambient";
}

std::string IdentityOf(const api::Pod& pod, const MeshOptions& options) {
  return absl::StrCat("spiffe://", options.trust_domain, "/ns/", pod.meta.name_space, "/sa/",
                      pod.service_account.str());
}

std::string WorkloadUidOf(const api::Pod& pod, const MeshOptions& options) {
  return absl::StrCat(options.cluster_id, "//Pod/", pod.meta.name_space, "/", pod.meta.name);
}

}  // namespace heddle::controlplane::translate
