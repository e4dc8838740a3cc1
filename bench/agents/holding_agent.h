#pragma once

#include "agent/xds/xds_client.h"
#include "bench/agents/agent.h"
#include "lib/base/random.h"
#include "lib/grpc/channel.h"

namespace heddle::bench {

// The agent's own client, session and state: a change is effective when the State with it is published, which is what
// connections are decided by.
class HoldingAgent final : public Agent {
 public:
  explicit HoldingAgent(AgentParts parts);
  Task<void> Run(StopToken stop) override;

 private:
  void OnState(const agent::StateRef& state);

  AgentParts parts_;
  SystemClock clock_;
  SystemRandom random_;
  grpc::Channel channel_;
  agent::StateBuilder builder_;
  agent::DeltaSession session_;
  agent::XdsClient client_;
  bool complete_ = false;
};

}  // namespace heddle::bench
