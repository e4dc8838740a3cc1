#pragma once

#include "agent/hbone/tunnel.h"
#include "agent/proxy/connection_table.h"
#include "agent/proxy/relay.h"
#include "agent/telemetry/connection_record.h"

namespace heddle::agent {

class Worker;

// A failure from before the relay as its record says it. Waits that were stopped say kPodReleased;
// here is known who asked: policy, the end of the pod, a drain, or the client's own end of its
// stream.
Failure Explain(const Failure& failure, TrackedConnection& connection);

// Dials are ended by a deadline, by a stop, or by the network.
TunnelFailure DialFailure(const io::Error& error, const io::SocketAddress& to);

// A connection that is being served: all that is kept of it while it is relayed, and so as little as
// possible. The frame of whoever serves it has this and no more: what comes before the relay has
// frames of its own.
struct Served {
  Served(Worker& worker, PodContext& pod, ConnectionKind kind, const io::SocketAddress& source);

  // How the relay ended, for the record.
  void RecordEnd(const std::optional<RelayFailure>& failure);
  // How it ended before.
  void RecordFailure(TunnelFailure failure);

  ConnectionRecord record;
  TrackedConnection connection;
};

}  // namespace heddle::agent
