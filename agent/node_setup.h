#pragma once

#include <absl/status/statusor.h>

#include <memory>

#include "agent/config.h"
#include "agent/node/agent_cgroup.h"
#include "agent/node/bpf_loader.h"
#include "lib/io/loop.h"

namespace heddle::agent {

// What must be true of the node before anything is served.
struct NodeSetup {
  CgroupPlace place;
  std::unique_ptr<BpfLoader> bpf;
  bool probe_cgroup_missed = false;  // And said so.
};

// Makes the directories, raises the limit of descriptors, moves this process into its own cgroup,
// loads and attaches the BPF programs, and says to them who the proxy and what a probe is. Fills in
// what `config` left to be found out.
absl::StatusOr<NodeSetup> SetUpNode(NodeConfig& config);

// Tries a backend that was asked for by name, so that a missing one is a sentence and no abort.
absl::Status CheckBackend(io::BackendChoice backend);

// The rule for probes as of now: the cgroup of the pods may come later than the agent.
absl::Status ApplyProbeRule(const NodeConfig& config, NodeSetup& setup);

}  // namespace heddle::agent
