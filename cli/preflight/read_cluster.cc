#include "cli/preflight/read_cluster.h"

#include <absl/strings/str_cat.h>

#include "cli/preflight/cluster_checks.h"

namespace heddle::cli {

std::vector<Finding> CheckCluster(ClusterSession& session) {
  const auto version = session.Get("/version");
  if (!version.ok()) {
    return {{.check = "api-server",
             .verdict = Verdict::kFailed,
             .sentence = std::string(version.status().message()),
             .advice = absl::StrCat("is what ", session.origin(), " names reachable from here?")}};
  }
  return {JudgeServerVersion(*version)};
}

}  // namespace heddle::cli
