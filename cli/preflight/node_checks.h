#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

#include "cli/preflight/finding.h"
#include "cli/preflight/node_facts.h"

// Facts of a node, judged. Pure.
namespace heddle::cli {

// Which cgroup2 the programs would be attached to; empty: there is none.
std::string CgroupRoot(const CgroupFacts& facts);
Finding JudgeCgroups(const CgroupFacts& facts);

// Something that was tried, by agent/node/node_trial.h.
struct Trial {
  std::string check;
  std::string works;   // The sentence when it does.
  std::string advice;  // What to do when it does not.
};
Finding JudgeTrial(const Trial& trial, const absl::Status& status);

Finding JudgeBpfFs(const std::string& path, bool is_bpf_fs);
Finding JudgeIoUring(const IoUringFacts& facts);
// Programs of others on the root of cgroup2.
Finding JudgeForeignPrograms(const std::vector<agent::ForeignProgram>& programs);
// Ports of ours that somebody listens on in the node's own network.
std::vector<Finding> JudgePorts(const std::vector<Listener>& listeners);
// Whether our entry can go into the chain that the runtime uses, and who else is in it.
std::vector<Finding> JudgeCni(const CniFacts& facts);
Finding JudgeDescriptors(uint64_t hard_limit);

}  // namespace heddle::cli
