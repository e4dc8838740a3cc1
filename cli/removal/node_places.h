#pragma once

#include <absl/status/statusor.h>

#include <CLI/CLI.hpp>
#include <string>

#include "agent/node/node_purge.h"

namespace heddle::cli {

// Where Heddle is on this node, as options say it: those of the agent.
struct NodePlaceOptions {
  std::string host_root;  // Empty: the node's files are here.
  std::string cgroup = "/sys/fs/cgroup";
  std::string pin_dir = "/sys/fs/bpf/heddle/v1";
  std::string state_dir = "/var/lib/heddle";
  std::string cni_platform = "default";
  std::string cni_conf_dir;  // In place of the platform's.
  std::string cni_bin_dir;
  std::string seccomp_dir = "/var/lib/kubelet/seccomp";
  std::string stub;  // Empty: what was installed with this program.
};

// Without --run-dir, which all subcommands have, and the options of CNI folders when `check` has them.
void AddNodePlaceOptions(CLI::App& command, NodePlaceOptions& options);

// With host_root in front of all of them.
absl::StatusOr<agent::NodePlaces> PlacesOf(const NodePlaceOptions& options,
                                           const std::string& run_dir);

}  // namespace heddle::cli
