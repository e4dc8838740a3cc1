#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/cluster/fields.h"
#include "cli/cluster/session.h"

namespace heddle::cli {

// A line for people, as things happen.
using Tell = std::function<void(const std::string&)>;

struct InstallOptions {
  std::string name_space;
  bool upgrade = false;                       // Something must be there; otherwise nothing may be.
  bool dry_run = false;                       // The server checks everything and keeps nothing.
  absl::Duration timeout = absl::Minutes(5);  // For each definition, and for everything.
};

// Applies the objects (MakeObjects) in their order by server-side apply, waits until kinds are
// established, until controllers are ready and only then applies the agents, waits for those, and
// removes what an earlier version had and this one has not. The error says which object, or which
// pods and why. Refuses to touch what helm installed, and to
// install where a removal is left over. What was applied before a failure stays: the
// same command goes on from there.
absl::Status Install(ClusterSession& session, const Objects& objects, const InstallOptions& options,
                     const Tell& tell);

// Everything in the cluster that this program applied, last stage first; of Heddle's namespace and
// without one.
absl::StatusOr<Objects> Inventory(ClusterSession& session, const std::string& name_space);

// Whether there is anything that DeleteInventory would delete: NOT_FOUND when there is not, and
// FAILED_PRECONDITION when helm installed.
absl::Status CheckInstalled(ClusterSession& session, const std::string& name_space);

// Deletes the inventory, kinds, namespace and what else is to stay apart. The nodes have to be free
// already: `heddlectl uninstall` sees to that first.
absl::Status DeleteInventory(ClusterSession& session, const std::string& name_space,
                             const Tell& tell);

}  // namespace heddle::cli
