#pragma once

#include <absl/status/status.h>

#include <string>

#include "cli/cluster/session.h"
#include "cli/install/installer.h"

namespace heddle::cli {

// Deletes what controllers have made for each other: what each node captured (ConfigMaps
// heddle-captured-NODE) and the Lease of the one that led. When no controller runs any more, or it is
// made again. The roots stay: the Secret heddle-ca and the ConfigMap heddle-root.
absl::Status DeleteControllersObjects(ClusterSession& session, const std::string& name_space);

// Takes the start-up taint off every node that has it: nobody would any more. A line for each.
absl::Status ClearStartupTaints(ClusterSession& session, const Tell& tell);

}  // namespace heddle::cli
