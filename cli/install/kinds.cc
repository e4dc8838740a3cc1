#include "cli/install/kinds.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "cli/cluster/fields.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

constexpr char kRbac[] = "rbac.authorization.k8s.io/v1";
constexpr char kAdmission[] = "admissionregistration.k8s.io/v1";

constexpr Kind kKinds[] = {
    {"apiextensions.k8s.io/v1", "CustomResourceDefinition", "/apis/apiextensions.k8s.io/v1/",
     "customresourcedefinitions", false, Stage::kDefinitions},
    {"v1", "Namespace", "/api/v1/", "namespaces", false, Stage::kNamespace},
    {"v1", "ServiceAccount", "/api/v1/", "serviceaccounts", true, Stage::kAccess},
    {kRbac, "ClusterRole", "/apis/rbac.authorization.k8s.io/v1/", "clusterroles", false,
     Stage::kAccess},
    {kRbac, "ClusterRoleBinding", "/apis/rbac.authorization.k8s.io/v1/", "clusterrolebindings",
     false, Stage::kAccess},
    {kRbac, "Role", "/apis/rbac.authorization.k8s.io/v1/", "roles", true, Stage::kAccess},
    {kRbac, "RoleBinding", "/apis/rbac.authorization.k8s.io/v1/", "rolebindings", true,
     Stage::kAccess},
    {"v1", "ConfigMap", "/api/v1/", "configmaps", true, Stage::kSettings},
    {"v1", "Secret", "/api/v1/", "secrets", true, Stage::kSettings},
    {"v1", "Service", "/api/v1/", "services", true, Stage::kSettings},
    {"v1", "PersistentVolumeClaim", "/api/v1/", "persistentvolumeclaims", true, Stage::kSettings},
    {"policy/v1", "PodDisruptionBudget", "/apis/policy/v1/", "poddisruptionbudgets", true,
     Stage::kSettings},
    {kAdmission, "ValidatingAdmissionPolicy", "/apis/admissionregistration.k8s.io/v1/",
     "validatingadmissionpolicies", false, Stage::kSettings},
    {kAdmission, "ValidatingAdmissionPolicyBinding", "/apis/admissionregistration.k8s.io/v1/",
     "validatingadmissionpolicybindings", false, Stage::kSettings},
    {"apps/v1", "Deployment", "/apis/apps/v1/", "deployments", true, Stage::kController},
    {"apps/v1", "DaemonSet", "/apis/apps/v1/", "daemonsets", true, Stage::kAgents},
};

}  // namespace

std::span<const Kind> InstalledKinds() { return kKinds; }

absl::StatusOr<const Kind*> KindOf(const nlohmann::json& object) {
  const std::string version = Text(object, {"apiVersion"});
  const std::string kind = Text(object, {"kind"});
  const auto* found = std::ranges::find_if(
      kKinds, [&](const Kind& each) { return version == each.api_version && kind == each.kind; });
  if (found != std::end(kKinds)) return found;
  return absl::InvalidArgumentError(
      absl::StrCat("the manifest has a ", kind, " of ", version, ", which is not known here"));
}

std::string CollectionPath(const Kind& kind, const std::string& name_space) {
  return absl::StrCat(kind.collection,
                      kind.namespaced ? absl::StrCat("namespaces/", name_space, "/") : "",
                      kind.plural);
}

absl::StatusOr<std::string> ObjectPath(const nlohmann::json& object) {
  TRY_ASSIGN(const Kind* kind, KindOf(object));
  return absl::StrCat(CollectionPath(*kind, NamespaceOf(object)), "/", NameOf(object));
}

}  // namespace heddle::cli
