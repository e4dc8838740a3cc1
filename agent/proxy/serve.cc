#include "agent/proxy/serve.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/proxy/worker.h"

namespace heddle::agent {
namespace {

Failure RelayEnd(const RelayFailure& failure, const TrackedConnection& connection) {
  const FailureSide side =
      failure.side == RelaySide::kClient ? FailureSide::kDownstream : FailureSide::kUpstream;
  if (failure.error.stopped()) return {connection.stop_reason()};
  if (failure.error.is(io::IoCode::kLimit)) return {FailureReason::kOutOfMemory, side};
  const bool tunnel = failure.error.domain == io::ErrorDomain::kHttp2 ||
                      failure.error.domain == io::ErrorDomain::kTls;
  return {tunnel ? FailureReason::kTunnelLost : FailureReason::kConnectionFailed, side};
}

}  // namespace

Failure Explain(const Failure& failure, TrackedConnection& connection) {
  if (failure.reason != FailureReason::kPodReleased) return failure;
  if (connection.stop().requested()) return {connection.stop_reason()};
  return {FailureReason::kTunnelLost, FailureSide::kDownstream};
}

TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to) {
  FailureReason reason = FailureReason::kDialFailed;
  if (error.is(io::IoCode::kDeadline)) reason = FailureReason::kDialTimeout;
  if (error.is(io::IoCode::kStopped)) reason = FailureReason::kPodReleased;
  return {{reason, FailureSide::kUpstream}, absl::StrCat(to.ToString(), ": ", error.ToString())};
}

Served::Served(Worker& worker, PodContext& pod, ConnectionKind kind,
               const io::SocketAddress& source)
    : record(worker.telemetry(),
             kind == ConnectionKind::kOutbound ? Direction::kOutbound : Direction::kInbound, source),
      connection(worker.connections(), kind, pod, source) {}

void Served::RecordFailure(TunnelFailure failure) {
  record.Fail(Explain(failure.failure, connection), std::move(failure.detail));
}

void Served::RecordEnd(const std::optional<RelayFailure>& failure) {
  if (!failure || IsOrderlyClose(failure->error)) {
    record.Complete();
  } else {
    record.Fail(RelayEnd(*failure, connection), failure->error.ToString());
  }
}

}  // namespace heddle::agent
