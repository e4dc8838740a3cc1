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
      pod(pod_context.pod()),
      source(source),
      table_(table),
      pod_context_(pod_context),
      id_(table.next_id_++),
      stop_(pod_context.connections.stop()) {
  table_.connections_.emplace(id_, this);
}

TrackedConnection::~TrackedConnection() { table_.connections_.erase(id_); }

void TrackedConnection::EndByPolicy() {
  ended_by_policy_ = true;
  stop_.RequestStop();
}

FailureReason TrackedConnection::stop_reason() const {
  return ended_by_policy_ ? FailureReason::kPolicyChanged : pod_context_.end_reason;
}

}  // namespace heddle::agent
