#pragma once

#include <string>
#include <vector>

#include "cli/cluster/session.h"
#include "cli/preflight/finding.h"

namespace heddle::cli {

struct ClusterCheckOptions {
  std::string name_space = "heddle-system";     // Where Heddle goes.
  std::string root_namespace = "istio-system";  // Whose policies hold for the whole mesh.
};

// Asks the API server what the checks of cluster_checks.h judge; reads only. What it refuses to tell
// is skipped by name; one that does not answer is a finding that failed, and the only one.
std::vector<Finding> CheckCluster(ClusterSession& session, const ClusterCheckOptions& options);

}  // namespace heddle::cli
