#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/preflight/cluster_facts.h"
#include "cli/preflight/finding.h"

// What an API server says, judged. Pure.
namespace heddle::cli {

// The answer to /version.
Finding JudgeServerVersion(const nlohmann::json& version);

// Parts of other meshes: their agents, their injection of sidecars, and where they meet ours.
std::vector<Finding> JudgeForeignMeshes(const ClusterFacts& facts);

// Whether the namespace that Heddle goes into admits agents: they have the node's network and
// folders. `name_space` may not exist yet.
Finding JudgePodSecurity(const ClusterFacts& facts, const std::string& name_space);

// Whether a removal is under way, or left over: what is installed then leaves at once.
Finding JudgeRemoval(const ClusterFacts& facts, const std::string& name_space);

// Pods that NetworkPolicies cut off from the mesh's port.
std::vector<Finding> JudgeNetworkPolicies(const ClusterFacts& facts);

// Webhooks and aggregated APIs whose pods would not take the API server's connections.
std::vector<Finding> JudgeStrictCalls(const ClusterFacts& facts);

// Something an install has to be allowed.
struct Permission {
  std::string group;
  std::string resource;
  std::string verb;
  bool allowed = false;
};
// What an install asks of the API server, none of it allowed yet.
std::vector<Permission> NeededPermissions();
Finding JudgePermissions(const std::vector<Permission>& permissions);

}  // namespace heddle::cli
