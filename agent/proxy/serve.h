#pragma once

#include "agent/hbone/tunnel.h"
#include "agent/proxy/connection_table.h"
#include "agent/proxy/relay.h"
#include "agent/telemetry/connection_record.h"

namespace heddle::agent {

// What a stop of a connection that is being served means: policy, or the end of its pod.
inline Failure StopFailure(const TrackedConnection& connection) {
  return {connection.ended_by_policy() ? FailureReason::kPolicyChanged
                                       : FailureReason::kPodReleased};
}

// Dials are ended by a deadline, by a stop, or by the network.
TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to);

// Relays until the end and writes into the record how it was. `client` is whoever opened the
// connection.
Task<void> RelayAndRecord(io::Loop& loop, io::Stream& client, io::Stream& server,
                          TrackedConnection& connection, ConnectionRecord& record);

}  // namespace heddle::agent
