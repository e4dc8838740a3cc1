#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <optional>

#include "lib/base/stop.h"
#include "lib/base/task.h"

namespace heddle::bench {

// Told what agents take. One loop's.
class AgentObserver {
 public:
  virtual ~AgentObserver() = default;
  // The agent has everything of every type.
  virtual void HasEverything(size_t agent) = 0;
  // The workload that is watched is effective for the agent as healthy, or not.
  virtual void Effective(size_t agent, bool healthy) = 0;
  virtual void Failed(size_t agent, const absl::Status& why) = 0;
};

// One node's end of an xDS stream, on a connection of its own.
class Agent {
 public:
  virtual ~Agent() = default;
  // Until stopped.
  virtual Task<void> Run(StopToken stop) = 0;
};

}  // namespace heddle::bench
