#include "cli/preflight/cluster_checks.h"

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include <algorithm>

#include "cli/cluster/fields.h"
#include "cli/install/kinds.h"
#include "cli/install/settings.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

// The CRD's rules use isCIDR, which is that old, as is ValidatingAdmissionPolicy in its final form.
constexpr int kMinMinor = 31;

constexpr char kRbacGroup[] = "rbac.authorization.k8s.io";

// "31+" of some providers is 31.
int LeadingNumber(const Json& object, const char* field) {
  const std::string text = Text(object, {field});
  int number = 0;
  const std::string digits = text.substr(0, text.find_first_not_of("0123456789"));
  return absl::SimpleAtoi(digits, &number) ? number : -1;
}

struct KnownPart {
  std::string_view name;  // An object of that name, or one that begins with it and '-'.
  Verdict verdict;
  const char* what;
  const char* advice;
};
constexpr KnownPart kDaemonSets[] = {
    {"ztunnel", Verdict::kFailed, "Istio's ambient node proxy",
     "it and Heddle would capture the same pods: remove it, or keep to one of the two"},
    {"istio-cni", Verdict::kFailed, "Istio's CNI agent",
     "in ambient mode it and Heddle would capture the same pods: remove it, or install it without "
     "ambient"},
    {"linkerd-cni", Verdict::kWarning, "Linkerd's CNI agent",
     "pods with its sidecar are never captured by Heddle"},
    {"kuma-cni", Verdict::kWarning, "Kuma's CNI agent",
     "pods with its sidecar are never captured by Heddle"},
    {"consul-cni", Verdict::kFailed, "Consul's CNI agent",
     "it and Heddle would capture the same pods"},
};
constexpr KnownPart kInjectors[] = {
    {"istio-sidecar-injector", Verdict::kWarning, "Istio injects sidecars",
     "pods with a sidecar are never captured by Heddle; move namespace by namespace"},
    {"istio-revision-tag", Verdict::kWarning, "Istio injects sidecars",
     "pods with a sidecar are never captured by Heddle; move namespace by namespace"},
    {"linkerd-proxy-injector", Verdict::kWarning, "Linkerd injects sidecars",
     "pods with a sidecar are never captured by Heddle"},
    {"kuma-admission-mutating", Verdict::kWarning, "Kuma injects sidecars",
     "pods with a sidecar are never captured by Heddle"},
    {"consul-connect-injector", Verdict::kWarning, "Consul injects sidecars",
     "keep its namespaces and Heddle's apart"},
};

bool IsPart(const Json& object, const KnownPart& part) {
  const std::string name = NameOf(object);
  return name == part.name || name.starts_with(absl::StrCat(std::string(part.name), "-"));
}

template <size_t kCount>
void AddKnown(const Objects& objects, const KnownPart (&parts)[kCount],
              std::vector<Finding>& findings) {
  for (const Json& object : objects) {
    const auto* part = std::ranges::find_if(
        parts, [&object](const KnownPart& each) { return IsPart(object, each); });
    if (part == std::end(parts)) continue;
    findings.push_back({.check = "other-meshes",
                        .verdict = part->verdict,
                        .sentence = absl::StrCat(part->what, ": ", FullName(object)),
                        .advice = part->advice});
  }
}

bool WantsSidecars(const Json& name_space) {
  return Label(name_space, "istio-injection") == "enabled" ||
         !Label(name_space, "istio.io/rev").empty() ||
         Text(name_space, {"metadata", "annotations", "linkerd.io/inject"}) == "enabled" ||
         Label(name_space, "kuma.io/sidecar-injection") == "enabled";
}

}  // namespace

Finding JudgeServerVersion(const Json& version) {
  Finding finding{.check = "api-server"};
  const int major = LeadingNumber(version, "major");
  const int minor = LeadingNumber(version, "minor");
  if (major < 0 || minor < 0) {
    finding.verdict = Verdict::kFailed;
    finding.sentence = "the API server does not say which version it is";
    finding.advice = "is this the address of a Kubernetes API server?";
    return finding;
  }
  finding.sentence = absl::StrCat("Kubernetes ", major, ".", minor);
  if (major > 1 || minor >= kMinMinor) return finding;
  finding.verdict = Verdict::kFailed;
  absl::StrAppend(&finding.sentence, " is older than 1.", kMinMinor);
  finding.advice = "upgrade the cluster: Heddle's kinds use rules that older servers do not know";
  return finding;
}

std::vector<Finding> JudgeForeignMeshes(const ClusterFacts& facts) {
  std::vector<Finding> findings;
  AddKnown(facts.daemon_sets, kDaemonSets, findings);
  AddKnown(facts.mutating_webhooks, kInjectors, findings);
  for (const Json& deployment : facts.deployments) {
    if (Label(deployment, "app") != "istiod") continue;
    findings.push_back(
        {.check = "other-meshes",
         .verdict = Verdict::kWarning,
         .sentence = absl::StrCat("istiod runs: ", FullName(deployment)),
         .advice =
             "it validates Istio's kinds and writes their status, too; Heddle leaves alone what "
             "istiod wrote"});
  }
  for (const Json& name_space : facts.namespaces) {
    if (!WantsSidecars(name_space) || Label(name_space, "istio.io/dataplane-mode") != "ambient")
      continue;
    findings.push_back(
        {.check = "other-meshes",
         .verdict = Verdict::kWarning,
         .sentence = absl::StrCat("namespace ", NameOf(name_space),
                                  " asks for sidecars and for the mesh without them"),
         .advice = "its pods with a sidecar stay outside of Heddle: take one of the labels away"});
  }
  if (findings.empty())
    findings.push_back({.check = "other-meshes", .sentence = "no other mesh was found"});
  return findings;
}

Finding JudgePodSecurity(const ClusterFacts& facts, const std::string& name_space) {
  const std::string level =
      Label(FindNamespace(facts, name_space), "pod-security.kubernetes.io/enforce");
  if (level.empty() || level == "privileged")
    return {.check = "pod-security",
            .sentence = absl::StrCat("nothing keeps agents out of namespace ", name_space)};
  return {.check = "pod-security",
          .verdict = Verdict::kFailed,
          .sentence = absl::StrCat("namespace ", name_space, " enforces the Pod Security level ",
                                   level, ", which admits no agent"),
          .advice = absl::StrCat("kubectl label namespace ", name_space,
                                 " --overwrite pod-security.kubernetes.io/enforce=privileged")};
}

// A mesh that is there may be upgraded while it leaves: that is how a removal is repaired.
Finding JudgeRemoval(const ClusterFacts& facts, const std::string& name_space) {
  if (facts.removal.is_null()) return {.check = "removal", .sentence = "no mesh is being removed"};
  const bool installed = std::ranges::any_of(facts.daemon_sets, [&](const Json& each) {
    return NameOf(each) == "heddle-agent" && NamespaceOf(each) == name_space;
  });
  return {.check = "removal",
          .verdict = installed ? Verdict::kWarning : Verdict::kFailed,
          .sentence = absl::StrCat("ConfigMap ", name_space, "/", kRemovalName,
                                   installed ? " has the mesh leave this cluster"
                                             : " is left over from a removal: what is installed "
                                               "would leave at once"),
          .advice = absl::StrCat("if nothing uninstalls Heddle any more: heddlectl uninstall "
                                 "--cancel --namespace=",
                                 name_space)};
}

std::vector<Permission> NeededPermissions() {
  std::vector<Permission> permissions;
  for (const Kind& kind : InstalledKinds()) {
    const std::string_view version = kind.api_version;
    const size_t slash = version.find('/');
    const std::string group(slash == std::string_view::npos ? "" : version.substr(0, slash));
    // What is applied from the server's side is created or patched; an upgrade deletes what is no more.
    for (const char* verb : {"create", "patch", "delete"})
      permissions.push_back({.group = group, .resource = kind.plural, .verb = verb});
  }
  // Roles give rights that who installs may not have itself.
  for (const char* resource : {"clusterroles", "roles"}) {
    for (const char* verb : {"escalate", "bind"})
      permissions.push_back({.group = kRbacGroup, .resource = resource, .verb = verb});
  }
  return permissions;
}

Finding JudgePermissions(const std::vector<Permission>& permissions) {
  // "create, patch roles.rbac.authorization.k8s.io": in the order of what is asked.
  std::vector<std::pair<std::string, std::string>> by_resource;
  for (const Permission& each : permissions) {
    if (each.allowed) continue;
    const std::string resource =
        absl::StrCat(each.resource, each.group.empty() ? "" : ".", each.group);
    const auto known =
        std::ranges::find(by_resource, resource, &decltype(by_resource)::value_type::first);
    if (known == by_resource.end())
      by_resource.emplace_back(resource, each.verb);
    else
      absl::StrAppend(&known->second, ", ", each.verb);
  }
  std::vector<std::string> refused;
  for (const auto& [resource, verbs] : by_resource)
    refused.push_back(absl::StrCat(verbs, " ", resource));
  if (refused.empty()) return {.check = "permissions", .sentence = "who asks may install"};
  return {.check = "permissions",
          .verdict = Verdict::kFailed,
          .sentence = absl::StrCat("who asks may not ", absl::StrJoin(refused, "; ")),
          .advice = "install as an administrator of the cluster (cluster-admin)"};
}

}  // namespace heddle::cli
