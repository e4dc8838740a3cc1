#include "controlplane/grpc_port.h"

#include <utility>

#include "lib/base/log.h"
#include "lib/base/scope.h"
#include "lib/tls/stream.h"

namespace heddle::controlplane {
namespace {

constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// What calls under way get when the controller stops: enough for a signature. Streams have no end
// of their own, and an agent reconnects.
constexpr absl::Duration kDrainTimeout = absl::Milliseconds(100);

}  // namespace

GrpcPort::GrpcPort(io::Loop& loop, grpc::Server& server, ServerCertificate& certificate,
                   metrics::Registry& registry)
    : loop_(loop),
      server_(server),
      certificate_(certificate),
      connections_(registry,
                   {.name = "heddle_controller_connections", .help = "Connections of nodes."}),
      refused_(registry, {.name = "heddle_controller_connections_refused",
                          .help = "Connections that were reset because there were too many."}),
      handshakes_failed_(registry, {.name = "heddle_controller_handshakes_failed",
                                    .help = "Connections that did not get through TLS."}) {}

Task<void> GrpcPort::Run(std::unique_ptr<io::Listener> listener, StopToken stop) {
  Scope scope(loop_, stop);
  while (true) {
    auto accepted = co_await listener->Accept(stop);
    if (!accepted) break;
    if (scope.live() >= kMaxConnections) {
      refused_.Add();
      continue;  // Destroying it resets it.
    }
    std::string peer = (*accepted)->peer().ToString();
    scope.Spawn(Serve((*accepted)->Attach(loop_), std::move(peer), scope.stop()));
  }
  co_await scope.Join();
}

Task<void> GrpcPort::Serve(std::unique_ptr<io::Connection> connection, std::string peer, StopToken stop) {
  auto context = certificate_.Context();
  if (!context.ok()) {
    LOG_ERROR("connection.refused", KV("peer", peer), KV("error", context.status()));
    co_return connection->Reset();
  }
  auto stream = std::make_unique<tls::TlsStream>(loop_, std::move(connection), *std::move(context),
                                                 tls::Role::kServer, tls::NoCertificate{});
  Deadline deadline(loop_, stop, kHandshakeTimeout);
  const auto shaken = co_await stream->Handshake(deadline.token());
  if (!shaken) {
    handshakes_failed_.Add();
    LOG_DEBUG("handshake.failed", KV("peer", peer), KV("error", shaken.error()),
              KV("reason", stream->failure()));
    co_return;
  }
  connections_.Add(1);
  grpc::Peer caller{.address = peer, .identity = ""};
  co_await server_.Serve(std::move(stream), std::move(caller), stop, kDrainTimeout);
  connections_.Add(-1);
}

}  // namespace heddle::controlplane
