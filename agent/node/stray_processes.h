#pragma once

#include <sys/types.h>

#include <filesystem>
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
// process, so in steps and not on a loop.
class StraySearch {
 public:
  StraySearch(std::vector<ino_t> netns, const std::string& cgroup);

  // Looks at some more; false: that was all.
  bool Step(size_t processes);
  const std::vector<StrayProcess>& found() const { return found_; }

 private:
  void LookAt(const std::string& process, int pid);

  const std::vector<ino_t> netns_;
  const std::string root_;  // The path of `cgroup` below the mount of cgroup2.
  std::filesystem::directory_iterator next_;
  std::vector<StrayProcess> found_;
};

}  // namespace heddle::agent
