#include "agent/proxy/outbound.h"

#include <variant>

#include "agent/hbone/connect_request.h"
#include "agent/policy/destination.h"
#include "agent/proxy/serve.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Upstream = TunnelResult<std::unique_ptr<io::Stream>>;

// Everything between accept and relay that may fail.
struct Outbound {
  Worker& worker;
  PodContext& pod;
  TrackedConnection& connection;
  ConnectionRecord& record;
  const io::SocketAddress destination;
};

Upstream Fail(FailureReason reason, std::string detail = {}) {
  return std::unexpected(TunnelFailure{{reason, FailureSide::kNone}, std::move(detail)});
}

// What a pod may not connect to: our own ports inside itself, which would lead in a circle.
bool IsOwnMeshPort(const CapturedPod& pod, const io::SocketAddress& to) {
  if (!IsMeshPort(to.port)) return false;
  return to.ip.is_loopback() ||
         std::find(pod.addresses.begin(), pod.addresses.end(), to.ip) != pod.addresses.end();
}

FRAME_OF_ITS_OWN Task<Upstream> DialPlain(Outbound& outbound, PlainHop hop) {
  outbound.record.destination = {.address = hop.dial, .workload = hop.workload};
  outbound.record.service = hop.service;
  outbound.record.Open();
  outbound.connection.actual_destination = hop.dial.ToString();
  Worker& worker = outbound.worker;
  Deadline dial(worker.loop(), outbound.connection.stop(), worker.limits().connect_timeout);
  auto connected = co_await outbound.pod.network->DialOut(worker.loop(), hop.dial, dial.token());
  if (!connected) co_return std::unexpected(DialFailure(connected.error(), hop.dial));
  (*connected)->ResetUnlessEnded();
  co_return Upstream(*std::move(connected));
}

FRAME_OF_ITS_OWN Task<Upstream> JoinTunnel(Outbound& outbound, HboneHop hop) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  ConnectionRecord& record = outbound.record;
  record.destination = {.address = hop.dial, .workload = hop.workload};
  if (hop.workload) record.destination.identity = hop.workload->identity;
  record.service = hop.service;
  record.hbone_address = hop.target.ToString();
  record.source.identity = pod.identity;
  record.mutual_tls = true;
  record.Open();
  outbound.connection.actual_destination = hop.dial.ToString();

  auto context = co_await worker.AwaitContext(pod, outbound.connection.stop());
  if (!context) co_return Fail(context.error());
  const WorkloadRef source = worker.FindWorkload(pod);
  ConnectClaims claims{.source = source ? BaggageOf(*source) : Baggage(),
                       .service_host = hop.service ? hop.service->hostname : std::string(),
                       .traceparent = NewTraceparent(worker.random())};
  http::Headers request = MakeConnectRequest(hop.target, claims, outbound.connection.source);
  TunnelTarget target{.next_hop = hop.dial,
                      .identities = hop.AcceptedIdentities(),
                      .context = *std::move(context)};
  CO_TRY(auto stream, co_await pod.tunnels.Connect(std::move(target), std::move(request),
                                                   outbound.connection.stop()));
  co_return Upstream(std::move(stream));
}

FRAME_OF_ITS_OWN Task<Upstream> Establish(Outbound& outbound) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  const auto known = [&worker, &pod] { return worker.FindWorkload(pod) != nullptr; };
  if (const auto failed = co_await worker.AwaitState(known, FailureReason::kStateTimeout,
                                                     outbound.connection.stop())) {
    co_return Fail(*failed);
  }
  const WorkloadRef source = worker.FindWorkload(pod);
  outbound.record.source.workload = source;
  NextHop hop = FindNextHop(*worker.state(), *source, outbound.destination, worker.random());
  if (auto* refused = std::get_if<RefusedHop>(&hop)) {
    outbound.record.service = refused->service;
    co_return Fail(refused->reason, std::move(refused->sentence));
  }
  if (auto* plain = std::get_if<PlainHop>(&hop))
    co_return co_await DialPlain(outbound, std::move(*plain));
  co_return co_await JoinTunnel(outbound, std::move(std::get<HboneHop>(hop)));
}

}  // namespace

Task<void> ServeOutbound(Worker& worker, PodContext& pod, Incoming incoming) {
  const io::SocketAddress peer = incoming.accepted->peer();
  ConnectionRecord record(worker.telemetry(), Direction::kOutbound, peer);
  const auto destination = pod.network->TakeOriginalDestination(peer, incoming.accepted->local());
  if (!destination) co_return record.Fail({FailureReason::kNoOriginalDestination});
  record.destination.address = *destination;
  if (IsOwnMeshPort(pod.pod(), *destination)) co_return record.Fail({FailureReason::kMeshPort});

  TrackedConnection connection(worker.connections(), ConnectionKind::kOutbound, pod);
  connection.source = peer;
  connection.original_destination = destination->ToString();
  const auto application = incoming.accepted->Attach(worker.loop());
  incoming.accepted.reset();
  application->ResetUnlessEnded();
  Outbound outbound{worker, pod, connection, record, *destination};
  auto upstream = co_await Establish(outbound);
  if (!upstream) {
    application->Reset();
    co_return record.Fail(Explain(upstream.error().failure, connection),
                          std::move(upstream.error().detail));
  }
  co_await RelayAndRecord(worker.loop(), *application, **upstream, connection, record);
}

}  // namespace heddle::agent
