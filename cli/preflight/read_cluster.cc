#include "cli/preflight/read_cluster.h"

#include <absl/strings/str_cat.h>

#include "cli/cluster/fields.h"
#include "cli/install/settings.h"
#include "cli/preflight/cluster_checks.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

struct Collection {
  const char* path;
  Objects ClusterFacts::* objects;
};
constexpr Collection kCollections[] = {
    {"/api/v1/namespaces", &ClusterFacts::namespaces},
    {"/api/v1/pods", &ClusterFacts::pods},
    {"/api/v1/services", &ClusterFacts::services},
    {"/apis/apps/v1/daemonsets", &ClusterFacts::daemon_sets},
    {"/apis/apps/v1/deployments", &ClusterFacts::deployments},
    {"/apis/networking.k8s.io/v1/networkpolicies", &ClusterFacts::network_policies},
    {"/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
     &ClusterFacts::mutating_webhooks},
    {"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
     &ClusterFacts::validating_webhooks},
    {"/apis/apiextensions.k8s.io/v1/customresourcedefinitions", &ClusterFacts::custom_kinds},
    {"/apis/apiregistration.k8s.io/v1/apiservices", &ClusterFacts::api_services},
    {"/apis/security.istio.io/v1/peerauthentications", &ClusterFacts::peer_authentications},
};

Finding NotRead(const absl::Status& why) {
  return {.check = "read",
          .verdict = Verdict::kSkipped,
          .sentence = std::string(why.message()),
          .advice = "what depends on it was not checked"};
}

// Kinds that the server does not have have no objects.
void Read(ClusterSession& session, ClusterFacts& facts, std::vector<Finding>& findings) {
  for (const Collection& collection : kCollections) {
    auto listed = session.List(collection.path);
    if (listed.ok()) {
      facts.*collection.objects = *std::move(listed);
    } else if (!absl::IsNotFound(listed.status())) {
      findings.push_back(NotRead(listed.status()));
    }
  }
}

Finding CheckRemoval(ClusterSession& session, ClusterFacts& facts, const std::string& name_space) {
  auto found = session.Get(RemovalPath(name_space));
  if (!found.ok() && !absl::IsNotFound(found.status())) return NotRead(found.status());
  if (found.ok()) facts.removal = *std::move(found);
  return JudgeRemoval(facts, name_space);
}

absl::StatusOr<bool> IsAllowed(ClusterSession& session, const Permission& permission) {
  const Json review = {{"apiVersion", "authorization.k8s.io/v1"},
                       {"kind", "SelfSubjectAccessReview"},
                       {"spec",
                        {{"resourceAttributes",
                          {{"group", permission.group},
                           {"resource", permission.resource},
                           {"verb", permission.verb}}}}}};
  TRY_ASSIGN(const Json answer,
             session.Send({.method = "POST",
                           .path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
                           .body = review.dump(),
                           .content_type = "application/json"}));
  return IsTrue(answer, {"status", "allowed"});
}

Finding CheckPermissions(ClusterSession& session) {
  std::vector<Permission> permissions = NeededPermissions();
  for (Permission& permission : permissions) {
    const auto allowed = IsAllowed(session, permission);
    if (!allowed.ok())
      return {.check = "permissions",
              .verdict = Verdict::kSkipped,
              .sentence = std::string(allowed.status().message())};
    permission.allowed = *allowed;
  }
  return JudgePermissions(permissions);
}

}  // namespace

std::vector<Finding> CheckCluster(ClusterSession& session, const ClusterCheckOptions& options) {
  const auto version = session.Get("/version");
  if (!version.ok()) {
    return {{.check = "api-server",
             .verdict = Verdict::kFailed,
             .sentence = std::string(version.status().message()),
             .advice = absl::StrCat("is what ", session.origin(), " names reachable from here?")}};
  }
  std::vector<Finding> findings = {JudgeServerVersion(*version), CheckPermissions(session)};
  ClusterFacts facts{.root_namespace = options.root_namespace};
  Read(session, facts, findings);
  findings.push_back(CheckRemoval(session, facts, options.name_space));
  findings.push_back(JudgePodSecurity(facts, options.name_space));
  for (const auto& judge : {JudgeForeignMeshes, JudgeNetworkPolicies, JudgeStrictCalls}) {
    for (Finding& finding : judge(facts)) findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace heddle::cli
