#include "agent/proxy/connection_table.h"

#include "agent/proxy/pod_context.h"

namespace heddle::agent {

std::string_view ToString(ConnectionKind kind) {
  switch (kind) {
    case ConnectionKind::kOutbound: return "outbound";
    case ConnectionKind::kInboundHbone: return "inbound_hbone";
    case ConnectionKind::kInboundPlaintext: return "inbound_plaintext";
  }
  return "unknown";
}

TrackedConnection::TrackedConnection(ConnectionTable& table, ConnectionKind kind,
                                     PodContext& pod_context, const io::SocketAddress& source)
    : kind(kind),
      source(source),
      table_(table),
      pod_context_(pod_context),
      id_(table.next_id_++),
      stop_(pod_context.connections.stop()) {
  table_.connections_.emplace(id_, this);
}

TrackedConnection::~TrackedConnection() { table_.connections_.erase(id_); }

const CapturedPod& TrackedConnection::pod() const { return pod_context_.pod(); }

std::optional<ConnectionFacts> TrackedConnection::facts() const {
  if (!judged_) return std::nullopt;
  return ConnectionFacts{.source = source.ip,
                         .destination = actual_destination->ip,
                         .destination_port = actual_destination->port,
                         .identity = identity_};
}

void TrackedConnection::SetIdentity(const tls::SpiffeId* identity) {
  CHECK(actual_destination.has_value());
  judged_ = true;
  identity_ = identity;
}

void TrackedConnection::EndByPolicy() {
  ended_by_policy_ = true;
  stop_.RequestStop();
}

FailureReason TrackedConnection::stop_reason() const {
  return ended_by_policy_ ? FailureReason::kPolicyChanged : pod_context_.end_reason;
}

}  // namespace heddle::agent
