#include "agent/proxy/inbound_stream.h"

#include <absl/strings/str_cat.h>

#include "agent/hbone/connect_request.h"
#include "agent/proxy/inbound_policy.h"
#include "agent/proxy/serve.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

struct InboundStream {
  Worker& worker;
  PodContext& pod;
  const InboundPeer& peer;
  http::H2Stream& stream;
  TrackedConnection& connection;
  ConnectionRecord& record;
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
  in.record.service = target.service;
  DescribeInbound(in.worker, in.pod, *in.connection.facts, in.record);
  if (!in.record.source.workload) in.record.source.claim = ClaimOf(request.claims.source);
  in.record.destination.identity = in.pod.identity;
}

// Everything that may fail before the answer. The token of the stream also ends with its tunnel and
// its pod.
FRAME_OF_ITS_OWN Task<Application> Establish(InboundStream& in) {
  const http::Headers headers = in.stream.TakeHeaders();
  const auto request = ReadConnectRequest(headers);
  in.connection.original_destination = headers.Get(":authority");
  if (!request) co_return Refuse(request.error());
  in.record.hbone_address = ToString(request->authority);
  const auto failed = co_await AwaitWorkload(in.worker, in.pod, in.stream.aborted());
  if (failed) co_return Refuse(*failed);

  const WorkloadRef workload = in.worker.FindWorkload(in.pod);
  const auto target =
      FindInboundTarget(*in.worker.state(), *workload, in.pod.pod(), *request, in.peer.local.ip);
  if (!target) co_return Refuse(target.error());
  // In the table with its facts first, then judged: a change of policy in between cannot be missed.
  in.connection.facts =
      ConnectionFacts{.source = in.peer.address.ip,
                      .destination = target->application.ip,
                      .destination_port = target->application.port,
                      .identity = in.peer.identity ? &*in.peer.identity : nullptr};
  in.connection.actual_destination = target->application.ToString();
  Describe(in, *request, *target);
  in.record.Open();
  CO_TRY_VOID(Authorize(in.worker, in.pod, *in.connection.facts));
  co_return co_await DialLocal(in.worker, in.pod, in.connection, in.stream.aborted());
}

// With the destination's baggage, as Istio's node proxy answers; a refusal has none.
http::Headers AcceptingAnswer(const WorkloadRef& destination) {
  http::Headers answer{{":status", "200"}};
  const std::string baggage = destination ? EncodeBaggage(BaggageOf(*destination)) : std::string();
  if (!baggage.empty()) answer.Add("baggage", baggage);
  return answer;
}

}  // namespace

void RefuseInboundStream(http::H2Stream& stream, FailureReason reason) {
  const http::Headers response{{":status", absl::StrCat(TextOf(reason).status)}};
  static_cast<void>(stream.Respond(response, true));
}

Task<void> ServeInboundStream(Worker& worker, PodContext& pod, const InboundPeer& peer,
                              std::unique_ptr<http::H2Stream> stream, ConnectionPlace place) {
  ConnectionRecord record(worker.telemetry(), Direction::kInbound, peer.address);
  record.destination.address = peer.local;
  record.source.identity = peer.identity;
  record.mutual_tls = true;
  TrackedConnection connection(worker.connections(), ConnectionKind::kInboundHbone, pod);
  connection.source = peer.address;
  InboundStream in{worker, pod, peer, *stream, connection, record};
  auto application = co_await Establish(in);
  if (!application) {
    const Failure failure = Explain(application.error().failure, connection);
    RefuseInboundStream(*stream, failure.reason);
    co_return record.Fail(failure, std::move(application.error().detail));
  }
  if (!stream->Respond(AcceptingAnswer(worker.FindWorkload(pod)), false)) {
    (*application)->Reset();
    co_return record.Fail({FailureReason::kTunnelLost, FailureSide::kDownstream});
  }
  co_await RelayAndRecord(worker.loop(), *stream, **application, connection, record);
}

}  // namespace heddle::agent
