#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "agent/node/process_walk.h"

namespace heddle::agent {

// A process that lives in a captured pod's netns but outside the cgroup to which the hooks are
// attached: its connects are not captured, only dropped by the guard if at all.
struct StrayProcess {
  int pid = 0;
  std::string name;  // As in /proc/PID/comm.
  ino_t netns = 0;
};

// Looks for every process whose netns is among `netns` and whose cgroup2 is not `cgroup` or below
// it. In steps, as ProcessWalk.
class StraySearch {
 public:
  StraySearch(std::vector<ino_t> netns, const std::string& cgroup);

  // Looks at some more; false: that was all.
  bool Step(size_t processes);
  const std::vector<StrayProcess>& found() const { return found_; }

 private:
  void LookAt(const Process& process);

  const std::vector<ino_t> netns_;
  const CgroupSubtree cgroup_;
  ProcessWalk walk_;
  std::vector<StrayProcess> found_;
};

}  // namespace heddle::agent
