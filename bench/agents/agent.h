#pragma once

#include <absl/status/status.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "agent/config.h"
#include "lib/base/stop.h"
#include "lib/base/task.h"
#include "lib/io/loop.h"

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

// Of one agent.
struct AgentParts {
  io::Loop& loop;
  size_t number;
  std::string node;
  agent::ControllerConfig controller;
  std::string watched;  // A workload's uid.
  AgentObserver& observer;
};

// One node's end of an xDS stream, on a connection of its own.
class Agent {
 public:
  virtual ~Agent() = default;
  // Until stopped.
  virtual Task<void> Run(StopToken stop) = 0;
};

}  // namespace heddle::bench
