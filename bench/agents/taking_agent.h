#pragma once

#include "bench/agents/agent.h"
#include "bench/agents/response_scan.h"
#include "lib/base/clock.h"
#include "lib/grpc/channel.h"

namespace heddle::bench {

// Takes and acknowledges everything and keeps nothing, so that a thousand of them fit in one process: a change is
// effective when it has been received and decoded.
class TakingAgent final : public Agent {
 public:
  explicit TakingAgent(AgentParts parts);
  Task<void> Run(StopToken stop) override;

 private:
  Task<absl::Status> Follow(StopToken stop);
  Task<absl::Status> Subscribe(grpc::ClientCall& call);
  absl::Status Note(const ScannedResponse& response);

  AgentParts parts_;
  SystemClock clock_;
  grpc::Channel channel_;
  size_t first_responses_ = 0;
};

}  // namespace heddle::bench
