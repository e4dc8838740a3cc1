#pragma once

#include <absl/container/flat_hash_map.h>
#include <absl/container/flat_hash_set.h>

#include <string>
#include <string_view>
#include <vector>

#include "agent/node/netns.h"
#include "agent/node/process_walk.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

// The UID of the pod after which a kubelet has named a cgroup, in either form. Empty: none.
//
//   cgroupfs   /kubepods/burstable/podUID/CONTAINER                                     podUID
//   systemd    /kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podU_I_D.slice/...  the last
std::string PodUidOfCgroup(std::string_view name);

// Where a pod runs.
struct PodPlace {
  int pid = 0;  // Of its oldest process: that is the sandbox's, and no other can be older.
  uint64_t started = 0;
  NetnsInode netns;
  UniqueFd netns_fd;
};

// Looks for the processes of pods by the cgroups that they are in, never by an address. On a way
// down from the root the first cgroup that is named after a pod counts: what is below is the pod's
// own to name. A pod can make network namespaces of its own: the one of its oldest process counts.
// Blocking: some microseconds for each cgroup, so in steps and not on a loop.
class PodSearch {
 public:
  // Below `cgroup`, where the hooks are attached: elsewhere is no place to capture a pod in.
  PodSearch(absl::flat_hash_set<std::string> uids, std::string cgroup);

  // Looks at some more; false: that was all.
  bool Step(size_t cgroups);
  absl::flat_hash_map<std::string, PodPlace>& found() { return found_; }

 private:
  struct Cgroup {
    std::string path;
    std::string uid;  // Of the pod whose it is; empty: no pod's.
  };
  void LookBelow(const Cgroup& cgroup);
  void LookInside(const Cgroup& cgroup);
  void Keep(const std::string& uid, const Process& process);

  const absl::flat_hash_set<std::string> uids_;
  std::vector<Cgroup> pending_;
  absl::flat_hash_map<std::string, PodPlace> found_;
};

}  // namespace heddle::agent
