#include "cli/removal/cluster_leftovers.h"

#include <absl/strings/str_cat.h>

#include <optional>
#include <vector>

#include "cli/cluster/fields.h"
#include "controlplane/api/node_taint.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

namespace api = controlplane::api;

// A kubelet writes its Node now and then: between two reads it has rarely written twice.
constexpr int kTriesPerNode = 10;
constexpr int kConflict = 409;
constexpr int kTestFailed = 422;  // A JSON patch whose "test" does not hold.

absl::Status Clear(ClusterSession& session, const std::string& name, const Tell& tell) {
  const std::string path = absl::StrCat("/api/v1/nodes/", name);
  for (int i = 0; i < kTriesPerNode; ++i) {
    const auto node = session.Get(path);
    if (absl::IsNotFound(node.status())) return absl::OkStatus();
    TRY_STATUS(node.status());
    const std::optional<std::string> patch = api::PatchWithoutTaint(
        node->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    if (!patch.has_value()) return absl::OkStatus();
    const kube::ApiRequest request{.method = "PATCH",
                                   .path = path,
                                   .body = *patch,
                                   .content_type = "application/json-patch+json"};
    TRY_ASSIGN(const kube::ApiAnswer answer, session.Call(request));
    if (answer.status / 100 == 2) {
      tell(absl::StrCat("node ", name, ": the taint ", api::kStartupTaint, " is taken off"));
      return absl::OkStatus();
    }
    if (answer.status != kConflict && answer.status != kTestFailed)
      return kube::StatusOf(request, answer);
  }
  return absl::AbortedError(absl::StrCat("node ", name, " changes all the time: its taint ",
                                         api::kStartupTaint, " is still there"));
}

}  // namespace

absl::Status DeleteControllersObjects(ClusterSession& session, const std::string& name_space) {
  const std::string reports =
      absl::StrCat("/api/v1/namespaces/", name_space,
                   "/configmaps?labelSelector=heddle.io%2Fcapture-report%3Dtrue");
  TRY_STATUS(session.Send({.method = "DELETE", .path = reports}).status());
  const std::string lease = absl::StrCat("/apis/coordination.k8s.io/v1/namespaces/", name_space,
                                         "/leases/heddle-controller");
  const absl::Status deleted = session.Send({.method = "DELETE", .path = lease}).status();
  return absl::IsNotFound(deleted) ? absl::OkStatus() : deleted;
}

absl::Status ClearStartupTaints(ClusterSession& session, const Tell& tell) {
  TRY_ASSIGN(const Objects nodes, session.List("/api/v1/nodes"));
  for (const nlohmann::json& node : nodes) {
    for (const nlohmann::json& taint : Member(node, {"spec", "taints"})) {
      if (Text(taint, {"key"}) != api::kStartupTaint) continue;
      TRY_STATUS(Clear(session, NameOf(node), tell));
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace heddle::cli
