#include "agent/proxy/inbound_stream.h"

#include <absl/strings/str_cat.h>

#include "agent/hbone/connect_request.h"
#include "agent/proxy/inbound_policy.h"
#include "agent/proxy/served_connection.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

// While it is set up; `stream` is the connection's client.
struct InboundStream {
  ServedConnection& connection;
  const InboundPeer& peer;
  http::H2Stream& stream;
};

using Application = TunnelResult<std::unique_ptr<io::Connection>>;

std::unexpected<TunnelFailure> Refuse(FailureReason reason) {
  return std::unexpected(TunnelFailure{{reason, FailureSide::kDownstream}, {}});
}

// Claims fill what the control plane does not know of the source.
std::unique_ptr<const PeerClaim> ClaimOf(const Baggage& baggage) {
  return std::make_unique<PeerClaim>(PeerClaim{.cluster = baggage.cluster,
                                               .name_space = baggage.namespace_name,
                                               .workload_name = baggage.workload_name,
                                               .canonical_name = baggage.service_name,
                                               .canonical_revision = baggage.service_version});
}

void Describe(InboundStream& in, const ConnectRequest& request, const InboundTarget& target) {
  ConnectionRecord& record = in.connection.record;
  record.service = target.service;
  DescribeInbound(in.connection);
  if (!record.source.workload) record.source.claim = ClaimOf(request.claims.source);
  const PodContext& pod = in.connection.pod;
  if (pod.identity) record.destination.identity = &*pod.identity;
}

// Everything that may fail before the answer. The token of the stream also ends with its tunnel and
// its pod.
FRAME_OF_ITS_OWN Task<Application> DialWhenAllowed(InboundStream& in) {
  ServedConnection& connection = in.connection;
  Worker& worker = connection.worker;
  const http::Headers headers = in.stream.TakeHeaders();
  const auto request = ReadConnectRequest(headers);
  if (!request) co_return Refuse(request.error());
  connection.record.hbone_address = ToString(request->authority);
  const auto failed = co_await AwaitWorkload(worker, connection.pod, in.stream.aborted());
  if (failed) co_return Refuse(*failed);

  const WorkloadRef workload = worker.FindWorkload(connection.pod);
  const auto target = FindInboundTarget(*worker.state(), *workload, connection.pod.pod(), *request,
                                        in.peer.local.ip);
  if (!target) co_return Refuse(target.error());
  // In the table with its facts first, then judged: a change of policy in between cannot be missed.
  connection.actual_destination = target->application;
  Describe(in, *request, *target);
  connection.record.Open();
  CO_TRY_VOID(Authorize(connection));
  co_return co_await DialLocal(connection, in.stream.aborted());
}

// With the destination's baggage, as Istio's node proxy answers; a refusal has none.
http::Headers AcceptingAnswer(const WorkloadRef& destination) {
  http::Headers answer{{":status", "200"}};
  const std::string baggage = destination ? EncodeBaggage(BaggageOf(*destination)) : std::string();
  if (!baggage.empty()) answer.Add("baggage", baggage);
  return answer;
}

// Everything before the relay: false when it failed and all is said.
FRAME_OF_ITS_OWN Task<bool> Establish(InboundStream& in) {
  ServedConnection& connection = in.connection;
  ConnectionRecord& record = connection.record;
  record.destination.address = in.peer.local;
  if (in.peer.identity) record.source.identity = &*in.peer.identity;
  record.mutual_tls = true;
  auto application = co_await DialWhenAllowed(in);
  if (!application) {
    const Failure failure = connection.Explain(application.error().failure);
    RefuseInboundStream(in.stream, failure.reason);
    record.Fail(failure, std::move(application.error().detail));
    co_return false;
  }
  connection.server = *std::move(application);
  const WorkloadRef own = connection.worker.FindWorkload(connection.pod);
  if (in.stream.Respond(AcceptingAnswer(own), false)) co_return true;
  connection.server->Reset();
  record.Fail({FailureReason::kTunnelLost, FailureSide::kDownstream});
  co_return false;
}

}  // namespace

void RefuseInboundStream(http::H2Stream& stream, FailureReason reason) {
  const http::Headers response{{":status", absl::StrCat(TextOf(reason).status)}};
  static_cast<void>(stream.Respond(response, true));
}

Task<void> ServeInboundStream(Worker& worker, PodContext& pod, const InboundPeer& peer, Scope& scope,
                              std::unique_ptr<http::H2Stream> stream, ConnectionPlace place) {
  auto connection = std::make_unique<ServedConnection>(
      worker, pod, scope, ConnectionKind::kInboundHbone, peer.address, std::move(place));
  InboundStream in{.connection = *connection, .peer = peer, .stream = *stream};
  connection->client = std::move(stream);
  const bool established = co_await Establish(in);
  if (established) ServedConnection::Carry(std::move(connection));
}

}  // namespace heddle::agent
