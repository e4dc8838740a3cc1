#pragma once

#include <memory>
#include <optional>

#include "agent/model/failure.h"
#include "agent/proxy/pod_context.h"
#include "lib/http/h2_stream.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

class Worker;

// Who is at the other end of a tunnel to us. Lives as long as the tunnel's session.
struct InboundPeer {
  io::SocketAddress address;
  io::SocketAddress local;  // The address of ours that it has reached.
  // Verified by TLS; the sessions of peers without one never begin.
  std::optional<tls::SpiffeId> identity;
};

// Serves one request of a tunnel, in three phases: what it is; everything that may fail, each
// failure with its status; the relay, which goes on in `scope` when this has ended.
Task<void> ServeInboundStream(Worker& worker, PodContext& pod, const InboundPeer& peer, Scope& scope,
                              std::unique_ptr<http::H2Stream> stream, ConnectionPlace place);

// Answers with the reason's status and no more: the rest of the story is ours. The stream can be
// destroyed then.
void RefuseInboundStream(http::H2Stream& stream, FailureReason reason);

}  // namespace heddle::agent
