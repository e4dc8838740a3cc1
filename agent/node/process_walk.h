#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>

namespace heddle::agent {

// One process as /proc shows it. Every question is a look at /proc: the process may end in between,
// and then the answers are empty.
class Process {
 public:
  explicit Process(int pid);

  int pid() const { return pid_; }
  // The inode of its netns; 0: it has gone.
  ino_t Netns() const;
  // The path of its netns, to be opened.
  std::string NetnsPath() const;
  // Its path in cgroup2 as this process sees it: the line "0::/path" (cgroups(7)). Empty: it has
  // gone, or is a zombie.
  std::string Cgroup() const;
  std::string Name() const;
  // When it was started, in clock ticks since boot; 0: it has gone.
  uint64_t Started() const;

 private:
  int pid_;
  std::string directory_;
};

// A directory of cgroup2, as a place in the paths of /proc/PID/cgroup.
class CgroupSubtree {
 public:
  explicit CgroupSubtree(const std::string& directory);

  // Whether the path is this cgroup's or one below it. Paths that begin with "/.." are outside this
  // process's cgroup namespace, and so outside of everything but the real root of cgroup2.
  bool Contains(const std::string& path) const;

 private:
  const bool real_root_;
  const std::string root_;  // Below the mount of cgroup2; "" for its root.
};

// Every process of /proc but this one, some at a time. Threads are none. Blocking: some microseconds
// for each process, so in steps and not on a loop.
class ProcessWalk {
 public:
  ProcessWalk();

  // Shows `look` some more; false: that was all.
  template <typename Look>
  bool Step(size_t processes, Look look) {
    for (int pid = 0; processes > 0 && (pid = Next()) != 0; --processes) look(Process(pid));
    return next_ != std::filesystem::directory_iterator();
  }

 private:
  int Next();  // 0: no more.
  std::filesystem::directory_iterator next_;
};

}  // namespace heddle::agent
