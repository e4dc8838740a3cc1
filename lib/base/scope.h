#pragma once

#include <absl/time/time.h>

#include "lib/base/executor.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/base/wait_queue.h"

namespace heddle {

// Owner of tasks that nobody awaits. Whoever spawns has a Scope as its *last* member and drains it before it goes:
// the destructor asserts that nothing runs any more. Nothing in this code base is detached.
class Scope {
 public:
  // A stop of `parent` is a stop of the scope.
  explicit Scope(Executor& executor, StopToken parent = {})
      : executor_(executor), stop_(parent), ended_(executor) {}
  ~Scope() { CHECK(live_ == 0); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Starts the task at once and owns it until it ends: when live() no longer counts it, its frame and all that it owned
  // are gone.
  void Spawn(Task<void> task);

  // What the spawned tasks should watch.
  StopToken stop() { return stop_.token(); }
  // Asks the tasks to stop; does not wait.
  void RequestStop() { stop_.RequestStop(); }
  size_t live() const { return live_; }

  // Waits for all tasks, without asking them to stop.
  Task<void> Join();
  // Waits up to `grace` for the tasks to end by themselves, then asks them to stop and waits for that.
  Task<void> Drain(absl::Duration grace = absl::ZeroDuration());

 private:
  friend class ScopeHold;
  friend void internal::EndInScope(Scope& scope, std::coroutine_handle<> task) noexcept;
  void Leave() noexcept {
    if (--live_ == 0) ended_.NotifyAll();
  }

  Executor& executor_;
  LinkedStopSource stop_;
  size_t live_ = 0;
  WaitQueue ended_;  // Notified when live_ becomes 0.
};

// Counts as a task of a scope for as long as it lives: for work that goes on while no task of it runs. Whoever has it
// watches the scope's stop.
class ScopeHold {
 public:
  explicit ScopeHold(Scope& scope) : scope_(scope) { ++scope_.live_; }
  ~ScopeHold() { scope_.Leave(); }
  ScopeHold(const ScopeHold&) = delete;
  ScopeHold& operator=(const ScopeHold&) = delete;
  Scope& scope() const { return scope_; }

 private:
  Scope& scope_;
};

}  // namespace heddle
