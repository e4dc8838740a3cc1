#include "agent/proxy/inbound_stream.h"

#include <absl/strings/str_cat.h>

#include "agent/hbone/connect_request.h"
#include "agent/proxy/either_readable.h"
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
  Served served;
  std::unique_ptr<io::Connection> application;
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
  ConnectionRecord& record = in.served.record;
  record.service = target.service;
  DescribeInbound(in.worker, in.pod, *in.served.connection.facts(), record);
  if (!record.source.workload) record.source.claim = ClaimOf(request.claims.source);
  if (in.pod.identity) record.destination.identity = &*in.pod.identity;
}

// Everything that may fail before the answer. The token of the stream also ends with its tunnel and
// its pod.
FRAME_OF_ITS_OWN Task<Application> DialWhenAllowed(InboundStream& in) {
  TrackedConnection& connection = in.served.connection;
  const http::Headers headers = in.stream.TakeHeaders();
  const auto request = ReadConnectRequest(headers);
  if (!request) co_return Refuse(request.error());
  in.served.record.hbone_address = ToString(request->authority);
  connection.authority = &in.served.record.hbone_address;
  const auto failed = co_await AwaitWorkload(in.worker, in.pod, in.stream.aborted());
  if (failed) co_return Refuse(*failed);

  const WorkloadRef workload = in.worker.FindWorkload(in.pod);
  const auto target =
      FindInboundTarget(*in.worker.state(), *workload, in.pod.pod(), *request, in.peer.local.ip);
  if (!target) co_return Refuse(target.error());
  // In the table with its facts first, then judged: a change of policy in between cannot be missed.
  connection.actual_destination = target->application;
  connection.SetIdentity(in.peer.identity ? &*in.peer.identity : nullptr);
  Describe(in, *request, *target);
  in.served.record.Open();
  CO_TRY_VOID(Authorize(in.worker, in.pod, *connection.facts()));
  co_return co_await DialLocal(in.worker, in.pod, connection, in.stream.aborted());
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
  ConnectionRecord& record = in.served.record;
  record.destination.address = in.peer.local;
  if (in.peer.identity) record.source.identity = &*in.peer.identity;
  record.mutual_tls = true;
  auto application = co_await DialWhenAllowed(in);
  if (!application) {
    const Failure failure = Explain(application.error().failure, in.served.connection);
    RefuseInboundStream(in.stream, failure.reason);
    record.Fail(failure, std::move(application.error().detail));
    co_return false;
  }
  in.application = *std::move(application);
  if (in.stream.Respond(AcceptingAnswer(in.worker.FindWorkload(in.pod)), false)) co_return true;
  in.application->Reset();
  record.Fail({FailureReason::kTunnelLost, FailureSide::kDownstream});
  co_return false;
}

}  // namespace

void RefuseInboundStream(http::H2Stream& stream, FailureReason reason) {
  const http::Headers response{{":status", absl::StrCat(TextOf(reason).status)}};
  static_cast<void>(stream.Respond(response, true));
}

Task<void> ServeInboundStream(Worker& worker, PodContext& pod, const InboundPeer& peer,
                              std::unique_ptr<http::H2Stream> stream, ConnectionPlace place) {
  InboundStream in{.worker = worker,
                   .pod = pod,
                   .peer = peer,
                   .stream = *stream,
                   .served = Served(worker, pod, ConnectionKind::kInboundHbone, peer.address),
                   .application = nullptr};
  const bool established = co_await Establish(in);
  if (!established) co_return;
  Served& served = in.served;
  // Not Relay(): a parked connection would have its frame too.
  RelayRunEnd end;
  do {
    end = co_await RelayUntilIdle(worker.loop(), *stream, *in.application, served.record.bytes,
                                  served.connection.stop());
    if (end.idle) co_await EitherReadable(worker.loop(), *stream, *in.application, served.connection.stop());
  } while (end.idle);
  served.RecordEnd(end.failure);
}

}  // namespace heddle::agent
