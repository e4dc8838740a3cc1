#pragma once

#include <string>

#include "agent/config.h"
#include "agent/xds/xds_client.h"
#include "bench/agents/agent.h"
#include "lib/base/random.h"
#include "lib/grpc/channel.h"
#include "lib/io/loop.h"

namespace heddle::bench {

// The agent's own client, session and state: a change is effective when the State with it is published, which is what
// connections are decided by.
class HoldingAgent final : public Agent {
 public:
  struct Parts {
    io::Loop& loop;
    size_t number;
    std::string node;
    agent::ControllerConfig controller;
    std::string watched;  // A workload's uid.
    AgentObserver& observer;
  };
  explicit HoldingAgent(Parts parts);
  Task<void> Run(StopToken stop) override;

 private:
  void OnState(const agent::StateRef& state);

  Parts parts_;
  SystemClock clock_;
  SystemRandom random_;
  grpc::Channel channel_;
  agent::StateBuilder builder_;
  agent::DeltaSession session_;
  agent::XdsClient client_;
  bool complete_ = false;
};

}  // namespace heddle::bench
