#pragma once

#include "agent/hbone/tunnel.h"
#include "agent/proxy/connection_table.h"
#include "agent/proxy/relay.h"
#include "agent/telemetry/connection_record.h"

namespace heddle::agent {

// A failure from before the relay as its record says it. Waits that were stopped say kPodReleased;
// here is known who asked: policy, the end of the pod, a drain, or the client's own end of its
// stream.
Failure Explain(const Failure& failure, TrackedConnection& connection);

// Dials are ended by a deadline, by a stop, or by the network.
TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to);

// Relays until the end and writes into the record how it was. `client` is whoever opened the
// connection.
Task<void> RelayAndRecord(io::Loop& loop, io::Stream& client, io::Stream& server,
                          TrackedConnection& connection, ConnectionRecord& record);

}  // namespace heddle::agent
