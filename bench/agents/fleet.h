#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "bench/agents/agent.h"
#include "lib/base/clock.h"
#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/io/loop.h"

namespace heddle::bench {

// As agents take it.
inline constexpr size_t kResponseBytesMax = 200u << 20;
inline constexpr char kClusterId[] = "Kubernetes";

struct FleetOptions {
  std::string controller;  // "host:port"
  std::string server_name = "heddle-controller";
  std::string roots_file;
  std::string token_dir;  // A file for each node.
  std::string node_prefix;
  size_t agents = 100;
  size_t holding = 10;  // So many of them keep and apply what they get; the others take it only.
  std::string watched;  // A workload's uid.
};

// Agents of the nodes PREFIX0, PREFIX1, ... and when a change has become effective in each. One loop's.
class Fleet final : private AgentObserver {
 public:
  Fleet(io::Loop& loop, FleetOptions options);

  // In the scope, until it is stopped.
  void Start(Scope& scope);
  // Each agent has everything. False when stopped, or when one has failed.
  Task<bool> AwaitEverything(StopToken stop);
  // From now on the watched workload is to become that,
  void Expect(bool healthy);
  // and in each agent it has. False as above.
  Task<bool> AwaitEffective(StopToken stop);
  // When it did, in the order in which it did.
  const std::vector<MonotonicTime>& effective() const { return effective_; }
  // Why it was false; empty: it took too long.
  const std::string& failure() const { return failure_; }

 private:
  void HasEverything(size_t agent) override;
  void Effective(size_t agent, bool healthy) override;
  void Failed(size_t agent, const absl::Status& why) override;

  io::Loop& loop_;
  const FleetOptions options_;
  std::vector<std::unique_ptr<Agent>> agents_;
  size_t complete_ = 0;
  bool expected_ = true;
  std::vector<bool> has_expected_;
  std::vector<MonotonicTime> effective_;
  std::string failure_;
  WaitQueue changed_;
};

}  // namespace heddle::bench
