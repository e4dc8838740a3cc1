#pragma once

#include <vector>

#include "cli/cluster/session.h"
#include "cli/preflight/finding.h"

namespace heddle::cli {

// Asks the API server what the checks of cluster_checks.h judge. What it refuses to tell is skipped
// by name; one that does not answer is a finding that failed, and the only one.
std::vector<Finding> CheckCluster(ClusterSession& session);

}  // namespace heddle::cli
