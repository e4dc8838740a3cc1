#pragma once

#include <absl/time/time.h>
#include <sys/types.h>

#include <string>

#include "bench/agents/fleet.h"

namespace heddle::bench {

struct ConvergenceOptions {
  FleetOptions fleet;
  pid_t controller_pid = 0;
  size_t changes = 100;
  absl::Duration pause =
      absl::Milliseconds(20);  // Between a change that is effective everywhere and the next.
  std::string change_file;     // In the controller's directory; replaced by rename.
  std::string ready_file, unready_file;  // What it is replaced with, in turns.
};

// Connects all agents, which hold nothing, then changes one pod again and again; prints what that took as JSON. Not 0
// when anything failed.
int RunConvergence(const ConvergenceOptions& options);

}  // namespace heddle::bench
