#pragma once

#include <string>

#include "agent/xds/delta_session.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop_pool.h"

namespace heddle::agent {

// Keeps what the controller said on disk, so that a node that restarts while the controller is away
// serves as before. Encoding, writing and syncing happen on a thread of their own; the file is
// replaced whole. Control loop only.
class StateFile {
 public:
  StateFile(io::Loop& loop, std::string path);

  // What was saved, or why there is nothing: a missing file is NOT_FOUND, a damaged one DATA_LOSS.
  absl::StatusOr<HeldResources> Load() const;

  // There is something new to save; `session` outlives Run().
  void Notify() {
    dirty_ = true;
    changed_.NotifyAll();
  }
  // Saves what changes until stopped, and then once more.
  Task<void> Run(const DeltaSession& session, StopToken stop);
  uint64_t failures_total() const { return failures_total_; }

 private:
  Task<void> Save(HeldResources held);

  io::Loop& loop_;
  const std::string path_;
  io::LoopPool disk_;
  WaitQueue changed_;
  bool dirty_ = false;
  uint64_t failures_total_ = 0;
};

}  // namespace heddle::agent
