#include "agent/node/stray_processes.h"

#include <algorithm>

namespace heddle::agent {

StraySearch::StraySearch(std::vector<ino_t> netns, const std::string& cgroup)
    : netns_(std::move(netns)), cgroup_(cgroup) {}

bool StraySearch::Step(size_t processes) {
  if (netns_.empty()) return false;
  return walk_.Step(processes, [this](const Process& process) { LookAt(process); });
}

void StraySearch::LookAt(const Process& process) {
  const ino_t inode = process.Netns();
  if (inode == 0 || std::find(netns_.begin(), netns_.end(), inode) == netns_.end()) return;
  const std::string path = process.Cgroup();
  // An empty path: the process ended while we looked, or it is a zombie.
  if (path.empty() || cgroup_.Contains(path)) return;
  found_.push_back({.pid = process.pid(), .name = process.Name(), .netns = inode});
}

}  // namespace heddle::agent
