#include "agent/proxy/served_connection.h"

#include <absl/strings/str_cat.h>

#include <utility>

#include "agent/proxy/worker.h"

namespace heddle::agent {

std::string_view ToString(ConnectionKind kind) {
  switch (kind) {
    case ConnectionKind::kOutbound: return "outbound";
    case ConnectionKind::kInboundHbone: return "inbound_hbone";
    case ConnectionKind::kInboundPlaintext: return "inbound_plaintext";
  }
  return "unknown";
}

TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to) {
  FailureReason reason = FailureReason::kDialFailed;
  if (error.is(io::IoCode::kDeadline)) reason = FailureReason::kDialTimeout;
  if (error.is(io::IoCode::kStopped)) reason = FailureReason::kPodReleased;
  return {{reason, FailureSide::kUpstream}, absl::StrCat(to.ToString(), ": ", error.ToString())};
}

static_assert(sizeof(ServedConnection) <= 416);

ServedConnection::ServedConnection(Worker& worker, PodContext& pod, Scope& scope,
                                   ConnectionKind kind, const io::SocketAddress& source,
                                   ConnectionPlace place)
    : ParkingRelay(scope),
      kind(kind),
      worker(worker),
      pod(pod),
      record(worker.telemetry(),
             kind == ConnectionKind::kOutbound ? Direction::kOutbound : Direction::kInbound, source),
      id_(worker.connections().Add(*this)),
      place_(std::move(place)),
      stop_(scope.stop()) {}

// The record is written after the streams have gone.
ServedConnection::~ServedConnection() { worker.connections().Remove(id_); }

void ServedConnection::Carry(std::unique_ptr<ServedConnection> connection) {
  CHECK(connection->client != nullptr && connection->server != nullptr);
  // Policy must be able to end what is let in.
  CHECK(connection->kind == ConnectionKind::kOutbound || connection->facts());
  connection.release()->Begin();
}

std::optional<ConnectionFacts> ServedConnection::facts() const {
  if (kind == ConnectionKind::kOutbound || !record.opened()) return std::nullopt;
  CHECK(actual_destination.has_value());
  return ConnectionFacts{.source = record.source.address->ip,
                         .destination = actual_destination->ip,
                         .destination_port = actual_destination->port,
                         .identity = record.source.identity};
}

void ServedConnection::EndByPolicy() {
  ended_by_policy_ = true;
  stop_.RequestStop();
}

FailureReason ServedConnection::stop_reason() const {
  return ended_by_policy_ ? FailureReason::kPolicyChanged : pod.end_reason;
}

Failure ServedConnection::Explain(const Failure& failure) const {
  if (failure.reason != FailureReason::kPodReleased) return failure;
  if (stop_.requested()) return {stop_reason()};
  return {FailureReason::kTunnelLost, FailureSide::kDownstream};
}

void ServedConnection::RecordFailure(TunnelFailure failure) {
  record.Fail(Explain(failure.failure), std::move(failure.detail));
}

RelayParts ServedConnection::parts() {
  return {worker.loop(), *client, *server, record.bytes, stop()};
}

void ServedConnection::OnEnd(const std::optional<RelayFailure>& failure) {
  const std::unique_ptr<ServedConnection> self(this);
  if (!failure || IsOrderlyClose(failure->error)) return record.Complete();
  record.Fail(RelayEnd(*failure), failure->error.ToString());
}

Failure ServedConnection::RelayEnd(const RelayFailure& failure) const {
  const FailureSide side =
      failure.side == RelaySide::kClient ? FailureSide::kDownstream : FailureSide::kUpstream;
  if (failure.error.stopped()) return {stop_reason()};
  if (failure.error.is(io::IoCode::kLimit)) return {FailureReason::kOutOfMemory, side};
  const bool tunnel = failure.error.domain == io::ErrorDomain::kHttp2 ||
                      failure.error.domain == io::ErrorDomain::kTls;
  return {tunnel ? FailureReason::kTunnelLost : FailureReason::kConnectionFailed, side};
}

}  // namespace heddle::agent
