#pragma once

#include <string>
#include <vector>

#include "agent/node/cni_paths.h"
#include "agent/node/node_files.h"

namespace heddle::agent {

// Where Heddle is, or was, on this node.
struct NodePlaces {
  std::string cgroup = "/sys/fs/cgroup";  // Where its hooks are attached.
  std::string pin_dir = "/sys/fs/bpf/heddle/v1";
  NodeDirectories directories;
  CniPaths cni;
  std::string stub;  // The program that stays in the plugin's place.
  // Of the agents' container; nobody's when empty.
  std::string seccomp_profile = "/var/lib/kubelet/seccomp/heddle/agent.json";
  std::string
      host_root;  // Before the paths in records, when the node's files are elsewhere: "/host".
};

// What of Heddle is left, a sentence each: attached programs, as the kernel lists them; pins; CNI
// entries; the plugin, unless it is the stub; files; cgroups of agents. Programs of other nodes that
// share this kernel are left out: those on another cgroup, and in namespaces of no process of
// this one. Blocking; needs root.
std::vector<std::string> FindTraces(const NodePlaces& places);

// What may stay without doing anything, a sentence each that says why: the stub; the seccomp profile,
// when the agent was gone before its hook could take it away; and empty folders, which were mounted
// into the agent's container when its end removed what was in them.
std::vector<std::string> FindKept(const NodePlaces& places);

struct Purged {
  std::vector<std::string> done;    // A line for each thing that was done.
  std::vector<std::string> failed;  // A sentence for each that could not be.
};
// Takes Heddle off a node whose agent is gone and will not come back: leaves the CNI chain, detaches
// and unpins, gives captured pods their settings back, puts the stub in the plugin's place, removes
// files, the seccomp profile too. Each step is done whatever became of the others, and doing it again
// does no harm. Connections that the agent carried ended with it; from the second step on, new ones go
// past Heddle. Blocking; needs root, and no agent that is alive.
Purged PurgeNode(const NodePlaces& places);

}  // namespace heddle::agent
