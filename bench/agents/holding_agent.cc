#include "bench/agents/holding_agent.h"

#include "agent/controller_channel.h"
#include "bench/agents/fleet.h"

namespace heddle::bench {

using agent::ResourceKind;

HoldingAgent::HoldingAgent(AgentParts parts)
    : parts_(std::move(parts)),
      channel_(
          parts_.loop, agent::MakeControllerConnector(parts_.loop, parts_.controller, clock_),
          {.authority = parts_.controller.server_name, .message_bytes_max = kResponseBytesMax}),
      session_(builder_, {.id = parts_.node, .metadata = {{"NODE_NAME", parts_.node}}},
               {ResourceKind::kAddress, ResourceKind::kAuthorization, ResourceKind::kNodePod}),
      client_({.loop = parts_.loop,
               .random = random_,
               .channel = channel_,
               .session = session_,
               .authorize =
                   [this] { return agent::AuthorizationMetadata(parts_.controller, kClusterId); },
               .publish = [this](const agent::StateRef& state) { OnState(state); }}) {}

Task<void> HoldingAgent::Run(StopToken stop) {
  co_await client_.Run(stop);
  co_await channel_.Shutdown();
}

void HoldingAgent::OnState(const agent::StateRef& state) {
  if (!complete_ && state->ready() && state->has(ResourceKind::kNodePod)) {
    complete_ = true;
    parts_.observer.HasEverything(parts_.number);
  }
  const agent::WorkloadRef watched = state->FindWorkload(agent::WorkloadUid(parts_.watched));
  if (watched != nullptr) parts_.observer.Effective(parts_.number, watched->healthy);
}

}  // namespace heddle::bench
