#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace heddle::agent {

// A process that lives in a captured pod's netns but outside the cgroup to which the hooks are
// attached: its connects are not captured, only dropped by the guard if at all.
struct StrayProcess {
  int pid = 0;
  std::string name;  // As in /proc/PID/comm.
  ino_t netns = 0;
};

// Looks at every process of /proc for one whose netns is among `netns` and whose cgroup2 is not
// `cgroup` or below it. Threads of this process are none. Blocking: some microseconds for each
// process, so not on a loop.
std::vector<StrayProcess> FindStrayProcesses(const std::vector<ino_t>& netns,
                                             const std::string& cgroup);

}  // namespace heddle::agent
