#include "agent/proxy/outbound.h"

#include <variant>

#include "agent/hbone/connect_request.h"
#include "agent/policy/destination.h"
#include "agent/proxy/served_connection.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Upstream = TunnelResult<std::unique_ptr<io::Stream>>;

Upstream Fail(FailureReason reason, std::string detail = {}) {
  return std::unexpected(TunnelFailure{{reason, FailureSide::kNone}, std::move(detail)});
}

// What a pod may not connect to: our own ports inside itself, which would lead in a circle.
bool IsOwnMeshPort(const CapturedPod& pod, const io::SocketAddress& to) {
  if (!IsMeshPort(to.port)) return false;
  return to.ip.is_loopback() ||
         std::find(pod.addresses.begin(), pod.addresses.end(), to.ip) != pod.addresses.end();
}

FRAME_OF_ITS_OWN Task<Upstream> DialPlain(ServedConnection& outbound, PlainHop hop) {
  outbound.record.destination = {.address = hop.dial, .workload = hop.workload};
  outbound.record.service = hop.service;
  outbound.record.Open();
  outbound.actual_destination = hop.dial;
  Worker& worker = outbound.worker;
  Deadline dial(worker.loop(), outbound.stop(), worker.limits().connect_timeout);
  auto connected = co_await outbound.pod.network->DialOut(worker.loop(), hop.dial, dial.token());
  if (!connected) co_return std::unexpected(DialFailure(connected.error(), hop.dial));
  (*connected)->ResetUnlessEnded();
  co_return Upstream(*std::move(connected));
}

FRAME_OF_ITS_OWN Task<Upstream> JoinTunnel(ServedConnection& outbound, HboneHop hop) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  ConnectionRecord& record = outbound.record;
  record.destination = {.address = hop.dial, .workload = hop.workload};
  if (hop.workload && hop.workload->identity) {
    record.destination.identity = &*hop.workload->identity;  // The record holds the workload.
  }
  record.service = hop.service;
  record.hbone_address = hop.target.ToString();
  if (pod.identity) record.source.identity = &*pod.identity;
  record.mutual_tls = true;
  record.Open();
  outbound.actual_destination = hop.dial;

  auto context = co_await worker.AwaitContext(pod, outbound.stop());
  if (!context) co_return Fail(context.error());
  const WorkloadRef source = worker.FindWorkload(pod);
  ConnectClaims claims{.source = source ? BaggageOf(*source) : Baggage(),
                       .service_host = hop.service ? hop.service->hostname : std::string(),
                       .traceparent = NewTraceparent(worker.random())};
  http::Headers request = MakeConnectRequest(hop.target, claims, *record.source.address);
  TunnelTarget target{.next_hop = hop.dial,
                      .identities = hop.AcceptedIdentities(),
                      .context = *std::move(context)};
  CO_TRY(auto stream, co_await pod.tunnels.Connect(std::move(target), std::move(request),
                                                   outbound.stop()));
  co_return Upstream(std::move(stream));
}

FRAME_OF_ITS_OWN Task<Upstream> FindUpstream(ServedConnection& outbound) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  const auto known = [&worker, &pod] { return worker.FindWorkload(pod) != nullptr; };
  if (const auto failed = co_await worker.AwaitState(known, FailureReason::kStateTimeout,
                                                     outbound.stop())) {
    co_return Fail(*failed);
  }
  const WorkloadRef source = worker.FindWorkload(pod);
  outbound.record.source.workload = source;
  NextHop hop = FindNextHop(*worker.state(), *source, *outbound.original_destination,
                            worker.random());
  if (auto* refused = std::get_if<RefusedHop>(&hop)) {
    outbound.record.service = refused->service;
    co_return Fail(refused->reason, std::move(refused->sentence));
  }
  if (auto* plain = std::get_if<PlainHop>(&hop))
    co_return co_await DialPlain(outbound, std::move(*plain));
  co_return co_await JoinTunnel(outbound, std::move(std::get<HboneHop>(hop)));
}

// Everything that may fail: false when it did and all is said.
FRAME_OF_ITS_OWN Task<bool> Establish(ServedConnection& outbound,
                                      std::unique_ptr<io::AcceptedConnection> accepted) {
  ConnectionRecord& record = outbound.record;
  outbound.original_destination =
      outbound.pod.network->TakeOriginalDestination(*record.source.address, accepted->local());
  record.destination.address = outbound.original_destination;
  if (!record.destination.address) {
    record.Fail({FailureReason::kNoOriginalDestination});
    co_return false;
  }
  if (IsOwnMeshPort(outbound.pod.pod(), *record.destination.address)) {
    record.Fail({FailureReason::kMeshPort});
    co_return false;
  }
  auto application = accepted->Attach(outbound.worker.loop());
  accepted.reset();
  application->ResetUnlessEnded();
  outbound.client = std::move(application);
  auto upstream = co_await FindUpstream(outbound);
  if (!upstream) {
    outbound.client->Reset();
    outbound.RecordFailure(std::move(upstream.error()));
    co_return false;
  }
  outbound.server = *std::move(upstream);
  co_return true;
}

}  // namespace

Task<void> ServeOutbound(Worker& worker, PodContext& pod, Incoming incoming) {
  auto outbound = std::make_unique<ServedConnection>(worker, pod, pod.connections,
                                                     ConnectionKind::kOutbound,
                                                     incoming.accepted->peer(), std::move(incoming.place));
  const bool established = co_await Establish(*outbound, std::move(incoming.accepted));
  if (established) ServedConnection::Carry(std::move(outbound));
}

}  // namespace heddle::agent
