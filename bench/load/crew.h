#pragma once

#include <absl/functional/any_invocable.h>

#include <memory>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/scope.h"
#include "lib/io/loop_pool.h"
#include "lib/io/socket.h"

namespace heddle::bench {

// One thread of the program: its loop and what runs on it.
struct Member {
  explicit Member(io::Loop& loop) : loop(loop), scope(loop) {}
  io::Loop& loop;
  io::KernelNetwork network;
  Scope scope;
};

// The threads that carry load. Made, used and ended on the home loop; Disband() before it goes.
class Crew {
 public:
  Crew(Clock& clock, io::Loop& home, size_t size, io::BackendChoice backend);
  ~Crew();
  size_t size() const { return pool_.size(); }

  // Runs `work` on a member's thread; what it waits for it spawns in the member's scope.
  void Post(size_t index, absl::AnyInvocable<void(Member&)> work);
  // Runs a task on a member's thread and returns when it has ended. The factory lives as long.
  Task<void> Run(size_t index, absl::AnyInvocable<Task<void>(Member&)> factory);
  // The same on all members at once, each told its index. The factory is called on all of their threads.
  Task<void> RunAll(absl::AnyInvocable<Task<void>(Member&, size_t) const> factory);
  // Asks all that was spawned to stop, and waits for it.
  Task<void> Disband();

 private:
  io::Loop& home_;
  std::vector<std::unique_ptr<Member>> members_;  // Each made and destroyed on its own thread.
  io::LoopPool pool_;
};

}  // namespace heddle::bench
