#pragma once

#include <cstddef>
#include <memory>

#include "controlplane/server_certificate.h"
#include "lib/grpc/server.h"
#include "lib/io/loop.h"
#include "lib/io/network.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// Most connections at a time: one per node, and as many again while nodes reconnect. Whoever comes
// above it is reset.
inline constexpr size_t kMaxConnections = 10'000;

// Accepts connections, makes them TLS (clients show no certificate: each call proves its node by
// token) and has them served. One loop's.
class GrpcPort {
 public:
  // All outlive this.
  GrpcPort(io::Loop& loop, grpc::Server& server, ServerCertificate& certificate,
           metrics::Registry& registry);

  // Until stopped; then no connection is left.
  Task<void> Run(std::unique_ptr<io::Listener> listener, StopToken stop);

 private:
  Task<void> Serve(std::unique_ptr<io::Connection> connection, std::string peer, StopToken stop);

  io::Loop& loop_;
  grpc::Server& server_;
  ServerCertificate& certificate_;
  metrics::Gauge connections_;
  metrics::Counter refused_;
  metrics::Counter handshakes_failed_;
};

}  // namespace heddle::controlplane
