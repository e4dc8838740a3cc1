#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <thread>
#include <vector>

#include "agent/xds/delta_session.h"

namespace heddle::agent {

// The state of the agent's last run, read from its file and built on a thread of its own while the node is set up: with
// a hundred thousand workloads it takes longer than all the rest of a start.
//
// Threads: builder and session are the other thread's until Wait() has returned, and from then on the caller's. Whoever
// gives the start up destroys the restore, which waits for what is under way: fractions of a second, bounded by
// kMaxStateFileBytes.
class StateRestore {
 public:
  // Begins at once. `path` is StateFile's; the rest is DeltaSession's.
  StateRestore(std::string path, NodeDescription node, std::vector<ResourceKind> kinds);

  ~StateRestore();

  // The state that the session now has, or why it has none: a missing file is NOT_FOUND, a damaged one DATA_LOSS.
  // Blocks until the other thread has ended. Called once.
  absl::StatusOr<StateRef> Wait();

  // To be held before Wait(), to be used after it.
  DeltaSession& session() { return session_; }

 private:
  void Run();

  const std::string path_;
  StateBuilder builder_;
  DeltaSession session_;
  absl::StatusOr<StateRef> restored_;
  std::thread thread_;  // Last: it uses the others.
};

}  // namespace heddle::agent
