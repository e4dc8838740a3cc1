#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "lib/io/loop.h"

namespace heddle::io {

// N worker threads, one loop each. Each loop is constructed on its thread; when the constructor returns, all of
// them run.
class LoopPool {
 public:
  // Threads are named `name`-0, `name`-1, ...
  LoopPool(Clock& clock, size_t size, const std::string& name, const LoopOptions& options);
  // Ends the loops and joins their threads. What runs on them must have ended before: a loop with live work is our bug.
  ~LoopPool();
  LoopPool(const LoopPool&) = delete;
  LoopPool& operator=(const LoopPool&) = delete;

  size_t size() const { return workers_.size(); }
  Loop& loop(size_t index);

 private:
  struct Worker;
  std::vector<std::unique_ptr<Worker>> workers_;
};

// Runs `task_factory()` as a task on `target` and resumes the caller on `home` when it has ended. The factory
// and the task live on `target`. For control work that spans loops (start a listener on a worker, drain it),
// not for the data path.
Task<void> RunOn(Loop& home, Loop& target, absl::AnyInvocable<Task<void>()> task_factory);

}  // namespace heddle::io
