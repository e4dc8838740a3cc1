#include "agent/xds/xds_client.h"

#include "lib/base/backoff.h"
#include "lib/base/log.h"
#include "lib/base/status.h"
#include "lib/grpc/protobuf.h"

namespace heddle::agent {
namespace {

constexpr char kMethod[] =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";
// Istio's proxy starts at 10 ms and stops at 15 s, too.
constexpr absl::Duration kBackoffMin = absl::Milliseconds(10);
constexpr absl::Duration kBackoffMax = absl::Seconds(15);
// About a millisecond of decoding and indexing.
constexpr size_t kResourcesPerTurn = 256;

}  // namespace

Task<void> XdsClient::Run(StopToken stop) {
  Backoff backoff(kBackoffMin, kBackoffMax);
  while (!stop.requested()) {
    const uint64_t responses_before = status_.responses_total;
    const absl::Status ended = co_await ServeStream(stop);
    status_.connected = false;
    if (stop.requested()) break;
    status_.last_error = std::string(ended.message());
    LOG_WARN("xds.stream.ended", KV("error", ended));
    // A stream that worked was cut: the next one is tried at once.
    if (status_.responses_total != responses_before) backoff.Reset();
    co_await parts_.loop.Sleep(backoff.Next(parts_.random), stop);
  }
}

Task<absl::Status> XdsClient::ServeStream(StopToken stop) {
  grpc::CallOptions options;
  CO_TRY_ASSIGN(options.metadata, parts_.authorize());
  CO_TRY_ASSIGN(const auto call, co_await parts_.channel.Open(kMethod, std::move(options), stop));
  ++status_.streams_total;
  for (const DeltaSession::Request& request : parts_.session.Open()) {
    const std::string bytes = request.SerializeAsString();
    const absl::Status sent = co_await call->Send(bytes);
    if (!sent.ok()) co_return co_await call->Finish();
  }
  const absl::Status refused = co_await Receive(*call);
  if (!refused.ok()) {
    call->Cancel();
    co_return refused;
  }
  const absl::Status finished = co_await call->Finish();
  co_return finished.ok() ? absl::UnavailableError("the controller ended the stream") : finished;
}

// Returns OK at the end of the stream, whose own status then says why.
Task<absl::Status> XdsClient::Receive(grpc::ClientCall& call) {
  while (true) {
    const std::optional<std::string> bytes = co_await call.Receive();
    if (!bytes) co_return absl::OkStatus();
    auto response = grpc::Parse<DeltaSession::Response>(*bytes);
    if (!response.ok()) co_return Annotate(response.status(), "xDS response");
    CO_TRY_STATUS(co_await Apply(call, *std::move(response)));
  }
}

Task<absl::Status> XdsClient::Apply(grpc::ClientCall& call, DeltaSession::Response response) {
  parts_.session.Begin(std::move(response));
  while (!parts_.session.Advance(kResourcesPerTurn)) co_await parts_.loop.Yield();
  DeltaSession::Outcome outcome = parts_.session.Finish();
  status_.connected = true;
  ++status_.responses_total;
  status_.last_response = parts_.loop.clock().Wall();
  status_.refused_total += outcome.refused.size();
  for (const std::string& refused : outcome.refused)
    LOG_WARN("xds.resource.refused", KV("reason", refused));
  if (outcome.state != nullptr) parts_.publish(std::move(outcome.state));
  const std::string reply = outcome.reply.SerializeAsString();
  // A stream that ends here says why in its own status.
  const absl::Status sent = co_await call.Send(reply);
  if (!sent.ok()) LOG_DEBUG("xds.reply.lost", KV("error", sent));
  co_return absl::OkStatus();
}

}  // namespace heddle::agent
