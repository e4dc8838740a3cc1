#pragma once

#include <string>

#include "agent/xds/delta_session.h"
#include "lib/base/file.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// Keeps what the controller said on disk, so that a node that restarts while the controller is away
// serves as before. The file is replaced whole. A change is on its way to the disk within
// milliseconds, the next ones wait for a pause; what could not be saved is tried again with
// back-off, and counted. Control loop only.
class StateFile {
 public:
  // Encoding, writing and syncing happen on `disk`, which runs as long as Run() and Flush().
  StateFile(io::Loop& loop, io::Loop& disk, std::string path, metrics::Registry& registry);

  // The file at `path`, for ViewState(), or why there is none: a missing file is NOT_FOUND, one that is too long
  // DATA_LOSS. Blocks; on any thread.
  static absl::StatusOr<MappedFile> Map(const std::string& path);

  // There is something new to save.
  void Notify() {
    dirty_ = true;
    changed_.NotifyAll();
  }
  // Saves what changes until stopped, and what is unsaved then, once. `session` outlives it.
  Task<void> Run(const DeltaSession& session, StopToken stop);
  // After Run() and whoever notifies have ended: saves what came too late for Run(), tried once.
  Task<void> Flush(const DeltaSession& session);

 private:
  // True when the file is as new as the session was.
  Task<bool> Save(const DeltaSession& session);

  io::Loop& loop_;
  io::Loop& disk_;
  const std::string path_;
  WaitQueue changed_;
  bool dirty_ = false;
  metrics::Counter failures_;
};

}  // namespace heddle::agent
