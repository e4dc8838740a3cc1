#pragma once

#include <absl/status/statusor.h>

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "agent/xds/delta_session.h"

namespace heddle::agent {

// The state of the agent's last run, read from its file and built on a thread of its own while the node is set up: with
// a hundred thousand workloads it takes longer than all the rest of a start. First the state that connections are
// decided by; then, while they are, the session that goes on from it.
//
// Threads: builder and session are the other thread's until WaitSession() has returned, and from then on the control
// thread's.
// Whoever gives the start up destroys the restore, which waits for what is under way: fractions of a second, bounded by
// kMaxStateFileBytes.
class StateRestore {
 public:
  // Begins at once. `path` is StateFile's; the rest is DeltaSession's.
  StateRestore(std::string path, NodeDescription node, std::vector<ResourceKind> kinds);

  ~StateRestore();

  // The state, or why there is none: a missing file is NOT_FOUND, a damaged one DATA_LOSS. Blocks until it is built.
  // Called once.
  absl::StatusOr<StateRef> WaitState() { return state_.get_future().get(); }
  // Blocks until the session has what that state was made of. Called once.
  void WaitSession() { thread_.join(); }

  // To be held before WaitSession(), to be used after it.
  DeltaSession& session() { return session_; }

 private:
  void Run();

  const std::string path_;
  StateBuilder builder_;
  DeltaSession session_;
  std::promise<absl::StatusOr<StateRef>> state_;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace heddle::agent
