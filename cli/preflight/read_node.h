#pragma once

#include <string>
#include <vector>

#include "cli/preflight/finding.h"

namespace heddle::cli {

struct NodeCheckOptions {
  std::string cgroup;  // Empty: the first cgroup2 that is mounted.
  std::string bpf_fs = "/sys/fs/bpf";
  std::string platform = "default";  // agent/node/cni_paths.h
  std::string cni_conf_dir;          // In place of the platform's.
  std::string cni_bin_dir;
  std::string host_root = "/";  // Where the node's files are: in front of all of these.
};

// Looks at this machine and tries on it what an agent will do; takes about a second. Needs root and
// a process with one thread. What was made for trials is gone afterwards.
std::vector<Finding> CheckNode(const NodeCheckOptions& options);

}  // namespace heddle::cli
