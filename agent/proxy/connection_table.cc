#include "agent/proxy/connection_table.h"

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
                                     const CapturedPod& pod, StopToken parent)
    : kind(kind), pod(pod), table_(table), id_(table.next_id_++), stop_(parent) {
  table_.connections_.emplace(id_, this);
}

TrackedConnection::~TrackedConnection() { table_.connections_.erase(id_); }

void TrackedConnection::EndByPolicy() {
  ended_by_policy_ = true;
  stop_.RequestStop();
}

}  // namespace heddle::agent
