#include "agent/proxy/outbound.h"

#include <variant>

#include "agent/hbone/connect_request.h"
#include "agent/policy/destination.h"
#include "agent/proxy/either_readable.h"
#include "agent/proxy/serve.h"
#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

using Upstream = TunnelResult<std::unique_ptr<io::Stream>>;

// A connection of the pod's application.
struct Outbound {
  Worker& worker;
  PodContext& pod;
  Served served;
  std::unique_ptr<io::Connection> application;
  std::unique_ptr<io::Stream> upstream;
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
  outbound.served.record.destination = {.address = hop.dial, .workload = hop.workload};
  outbound.served.record.service = hop.service;
  outbound.served.record.Open();
  outbound.served.connection.actual_destination = hop.dial;
  Worker& worker = outbound.worker;
  Deadline dial(worker.loop(), outbound.served.connection.stop(), worker.limits().connect_timeout);
  auto connected = co_await outbound.pod.network->DialOut(worker.loop(), hop.dial, dial.token());
  if (!connected) co_return std::unexpected(DialFailure(connected.error(), hop.dial));
  (*connected)->ResetUnlessEnded();
  co_return Upstream(*std::move(connected));
}

FRAME_OF_ITS_OWN Task<Upstream> JoinTunnel(Outbound& outbound, HboneHop hop) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  ConnectionRecord& record = outbound.served.record;
  record.destination = {.address = hop.dial, .workload = hop.workload};
  if (hop.workload && hop.workload->identity) {
    record.destination.identity = &*hop.workload->identity;  // The record holds the workload.
  }
  record.service = hop.service;
  record.hbone_address = hop.target.ToString();
  if (pod.identity) record.source.identity = &*pod.identity;
  record.mutual_tls = true;
  record.Open();
  outbound.served.connection.actual_destination = hop.dial;

  auto context = co_await worker.AwaitContext(pod, outbound.served.connection.stop());
  if (!context) co_return Fail(context.error());
  const WorkloadRef source = worker.FindWorkload(pod);
  ConnectClaims claims{.source = source ? BaggageOf(*source) : Baggage(),
                       .service_host = hop.service ? hop.service->hostname : std::string(),
                       .traceparent = NewTraceparent(worker.random())};
  http::Headers request = MakeConnectRequest(hop.target, claims, outbound.served.connection.source);
  TunnelTarget target{.next_hop = hop.dial,
                      .identities = hop.AcceptedIdentities(),
                      .context = *std::move(context)};
  CO_TRY(auto stream, co_await pod.tunnels.Connect(std::move(target), std::move(request),
                                                   outbound.served.connection.stop()));
  co_return Upstream(std::move(stream));
}

FRAME_OF_ITS_OWN Task<Upstream> FindUpstream(Outbound& outbound) {
  Worker& worker = outbound.worker;
  PodContext& pod = outbound.pod;
  const auto known = [&worker, &pod] { return worker.FindWorkload(pod) != nullptr; };
  if (const auto failed = co_await worker.AwaitState(known, FailureReason::kStateTimeout,
                                                     outbound.served.connection.stop())) {
    co_return Fail(*failed);
  }
  const WorkloadRef source = worker.FindWorkload(pod);
  outbound.served.record.source.workload = source;
  NextHop hop = FindNextHop(*worker.state(), *source, *outbound.served.connection.original_destination,
                            worker.random());
  if (auto* refused = std::get_if<RefusedHop>(&hop)) {
    outbound.served.record.service = refused->service;
    co_return Fail(refused->reason, std::move(refused->sentence));
  }
  if (auto* plain = std::get_if<PlainHop>(&hop))
    co_return co_await DialPlain(outbound, std::move(*plain));
  co_return co_await JoinTunnel(outbound, std::move(std::get<HboneHop>(hop)));
}

// Everything that may fail: false when it did and all is said.
FRAME_OF_ITS_OWN Task<bool> Establish(Outbound& outbound,
                                      std::unique_ptr<io::AcceptedConnection> accepted) {
  PodContext& pod = outbound.pod;
  ConnectionRecord& record = outbound.served.record;
  TrackedConnection& connection = outbound.served.connection;
  connection.original_destination =
      pod.network->TakeOriginalDestination(connection.source, accepted->local());
  record.destination.address = connection.original_destination;
  if (!record.destination.address) {
    record.Fail({FailureReason::kNoOriginalDestination});
    co_return false;
  }
  if (IsOwnMeshPort(pod.pod(), *record.destination.address)) {
    record.Fail({FailureReason::kMeshPort});
    co_return false;
  }
  outbound.application = accepted->Attach(outbound.worker.loop());
  accepted.reset();
  outbound.application->ResetUnlessEnded();
  auto upstream = co_await FindUpstream(outbound);
  if (!upstream) {
    outbound.application->Reset();
    outbound.served.RecordFailure(std::move(upstream.error()));
    co_return false;
  }
  outbound.upstream = *std::move(upstream);
  co_return true;
}

}  // namespace

Task<void> ServeOutbound(Worker& worker, PodContext& pod, Incoming incoming) {
  Outbound outbound{.worker = worker,
                    .pod = pod,
                    .served = Served(worker, pod, ConnectionKind::kOutbound,
                                     incoming.accepted->peer()),
                    .application = nullptr,
                    .upstream = nullptr};
  const bool established = co_await Establish(outbound, std::move(incoming.accepted));
  if (!established) co_return;
  Served& served = outbound.served;
  // Not Relay(): a parked connection would have its frame too.
  RelayRunEnd end;
  do {
    end = co_await RelayUntilIdle(worker.loop(), *outbound.application, *outbound.upstream, served.record.bytes,
                                  served.connection.stop());
    if (end.idle) {
      co_await EitherReadable(worker.loop(), *outbound.application, *outbound.upstream, served.connection.stop());
    }
  } while (end.idle);
  served.RecordEnd(end.failure);
}

}  // namespace heddle::agent
