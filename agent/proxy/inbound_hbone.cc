#include "agent/proxy/inbound_hbone.h"

#include <utility>

#include "agent/proxy/inbound_stream.h"
#include "agent/proxy/worker.h"
#include "lib/base/heap_grow.h"
#include "lib/base/log.h"
#include "lib/http/h2_connection.h"

namespace heddle::agent {
namespace {

http::H2ConnectionOptions ServerOptions(Worker& worker) {
  http::H2ConnectionOptions options = HboneOptions();
  options.session.max_concurrent_streams = worker.limits().inbound_streams_max;
  options.budget = &worker.group().held_bytes;
  return options;
}

std::unexpected<TunnelFailure> Fail(FailureReason reason) {
  return std::unexpected(TunnelFailure{{reason, FailureSide::kNone}, {}});
}

// Shakes hands; the failure is a story for the log, and the connection was reset.
Task<TunnelResult<std::unique_ptr<tls::TlsStream>>> Secure(
    Worker& worker, PodContext& pod, const io::IpAddress& source,
    std::unique_ptr<io::Connection> transport) {
  auto context = co_await worker.AwaitContext(pod, pod.connections.stop());
  if (!context) {
    transport->Reset();
    const bool ended = context.error() == FailureReason::kPodReleased;
    co_return Fail(ended ? pod.end_reason : context.error());
  }
  // Only now: connections to a pod without a certificate must not take the others' handshakes.
  HandshakePlace place(worker.handshakes(), source, pod.connections.stop());
  if (!place.granted()) {
    transport->Reset();
    co_return Fail(FailureReason::kSourceHandshakeLimit);
  }
  TouchHeap(kTunnelHeapBytes);
  auto secure = std::make_unique<tls::TlsStream>(worker.loop(), std::move(transport),
                                                 *std::move(context), tls::Role::kServer,
                                                 tls::AnyInTrustDomain{pod.pod().trust_domain});
  Deadline handshake(worker.loop(), place.stop(), worker.limits().handshake_timeout);
  auto agreed = co_await secure->Handshake(handshake.token());
  if (agreed) co_return std::move(secure);
  secure->Reset();
  if (place.displaced()) co_return Fail(FailureReason::kHandshakeLimit);
  if (pod.connections.stop().requested()) co_return Fail(pod.end_reason);
  const io::Error& error = agreed.error();
  const bool timeout = error.is(io::IoCode::kDeadline);
  co_return std::unexpected(TunnelFailure{
      {timeout ? FailureReason::kTlsTimeout : FailureReason::kTlsFailed, FailureSide::kDownstream},
      error.domain == io::ErrorDomain::kTls ? secure->failure() : error.ToString()});
}

// Streams that were on their way when the peer was told to open no more: it sends them again on
// another tunnel.
Task<void> RefuseLateStreams(Worker& worker, PodContext& pod, http::H2ServerConnection& session) {
  while (const auto stream = co_await session.Accept({})) {
    worker.telemetry().CountFailure(pod.end_reason);
    stream->Reset(http::ErrorCode::kRefusedStream);
  }
}

// Ends the session when its pod or the process stops taking connections: at once, or with a drain.
Task<void> EndSession(PodContext& pod, http::H2ServerConnection& session) {
  if (!pod.connections.stop().requested()) co_await session.Drain(pod.connections.stop());
  session.Close(http::ErrorCode::kNoError, "closed");
}

Task<void> ServeSession(Worker& worker, PodContext& pod, std::unique_ptr<tls::TlsStream> secure,
                        InboundPeer& peer) {
  peer.identity = secure->peer().identity;
  http::H2ServerConnection session(worker.loop(), std::move(secure), ServerOptions(worker));
  Scope scope(worker.loop(), pod.connections.stop());
  scope.Spawn(session.Run({}));
  while (auto stream = co_await session.Accept(pod.accepting.token())) {
    auto place = worker.group().loads.TakeOn(worker.index());
    if (!place) {
      worker.telemetry().CountFailure(FailureReason::kConnectionLimit);
      RefuseInboundStream(*stream, FailureReason::kConnectionLimit);
      continue;
    }
    scope.Spawn(ServeInboundStream(worker, pod, peer, scope, std::move(stream), *std::move(place)));
  }
  if (pod.accepting.requested()) {
    scope.Spawn(RefuseLateStreams(worker, pod, session));
    co_await EndSession(pod, session);
  }
  co_await scope.Join();
}

}  // namespace

Task<void> ServeInboundHbone(Worker& worker, PodContext& pod, Incoming incoming) {
  InboundPeer peer{
      .address = incoming.accepted->peer(), .local = incoming.accepted->local(), .identity = {}};
  auto transport = incoming.accepted->Attach(worker.loop());
  transport->LimitUnsent(kTunnelUnsentBytesMax);
  auto secure = co_await Secure(worker, pod, peer.address.ip, std::move(transport));
  incoming.accepted.reset();
  if (!secure) {
    // A flood is counted, not logged.
    const FailureReason reason = secure.error().failure.reason;
    if (reason == FailureReason::kHandshakeLimit || reason == FailureReason::kSourceHandshakeLimit)
      co_return worker.telemetry().CountFailure(reason);
    ConnectionRecord record(worker.telemetry(), Direction::kInbound, peer.address);
    record.destination.address = peer.local;
    co_return record.Fail(secure.error().failure, std::move(secure.error().detail));
  }
  co_await ServeSession(worker, pod, *std::move(secure), peer);
}

}  // namespace heddle::agent
