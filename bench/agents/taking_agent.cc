#include "bench/agents/taking_agent.h"

#include <array>

#include "agent/controller_channel.h"
#include "agent/xds/held_resources.h"
#include "bench/agents/fleet.h"
#include "lib/base/status.h"
#include "proto/discovery.pb.h"
#include "proto/workload.pb.h"

namespace heddle::bench {
namespace {

using Request = envoy::service::discovery::v3::DeltaDiscoveryRequest;
constexpr char kMethod[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

}  // namespace

TakingAgent::TakingAgent(AgentParts parts)
    : parts_(std::move(parts)),
      channel_(
          parts_.loop, agent::MakeControllerConnector(parts_.loop, parts_.controller, clock_),
          {.authority = parts_.controller.server_name, .message_bytes_max = kResponseBytesMax}) {}

Task<void> TakingAgent::Run(StopToken stop) {
  const absl::Status ended = co_await Follow(stop);
  if (!stop.requested()) parts_.observer.Failed(parts_.number, ended);
  co_await channel_.Shutdown();
}

Task<absl::Status> TakingAgent::Follow(StopToken stop) {
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, agent::AuthorizationMetadata(parts_.controller, kClusterId));
  CO_TRY_ASSIGN(const auto call, co_await channel_.Open(kMethod, std::move(options), stop));
  CO_TRY_STATUS(co_await Subscribe(*call));
  while (const std::optional<std::string> bytes = co_await call->Receive()) {
    CO_TRY_ASSIGN(const ScannedResponse response, ScanResponse(*bytes, parts_.watched));
    CO_TRY_STATUS(Note(response));
    Request acknowledged;
    acknowledged.set_type_url(response.type_url);
    acknowledged.set_response_nonce(response.nonce);
    const std::string reply = acknowledged.SerializeAsString();
    CO_TRY_STATUS(co_await call->Send(reply));
  }
  co_return co_await call->Finish();
}

Task<absl::Status> TakingAgent::Subscribe(grpc::ClientCall& call) {
  for (const agent::ResourceKind kind : agent::kAllResourceKinds) {
    Request request;
    request.set_type_url(std::string(agent::TypeUrl(kind)));
    request.mutable_node()->set_id(parts_.node);
    (*request.mutable_node()->mutable_metadata()->mutable_fields())["NODE_NAME"].set_string_value(
        parts_.node);
    const std::string bytes = request.SerializeAsString();
    CO_TRY_STATUS(co_await call.Send(bytes));
  }
  co_return absl::OkStatus();
}

// Each type has a first response, and those come before any other.
absl::Status TakingAgent::Note(const ScannedResponse& response) {
  if (first_responses_ < std::size(agent::kAllResourceKinds) &&
      ++first_responses_ == std::size(agent::kAllResourceKinds))
    parts_.observer.HasEverything(parts_.number);
  if (!response.found.has_value()) return absl::OkStatus();
  istio::workload::Address address;
  if (!address.ParseFromString(*response.found))
    return absl::InvalidArgumentError("the resource is no Address");
  parts_.observer.Effective(parts_.number, address.workload().status() == istio::workload::HEALTHY);
  return absl::OkStatus();
}

}  // namespace heddle::bench
