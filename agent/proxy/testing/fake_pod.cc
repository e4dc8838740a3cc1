#include "agent/proxy/testing/fake_pod.h"

#include "lib/base/check.h"

namespace heddle::agent::testing {

std::optional<io::SocketAddress> FakePodNetwork::TakeOriginalDestination(
    const io::SocketAddress& peer, const io::SocketAddress&) {
  const auto it = destinations_.find(peer);
  if (it == destinations_.end()) return std::nullopt;
  const io::SocketAddress destination = it->second;
  destinations_.erase(it);
  return destination;
}

Task<io::Result<std::unique_ptr<io::Connection>>> FakePodNetwork::DialOut(io::Loop& loop,
                                                                          io::SocketAddress to,
                                                                          StopToken stop) {
  io::ConnectOptions options{.to = to, .bind = std::nullopt, .socket = {}};
  co_return co_await outside_.Connect(loop, std::move(options), stop);
}

Task<io::Result<std::unique_ptr<io::Connection>>> FakePodNetwork::DialApplication(
    io::Loop& loop, io::SocketAddress to, io::IpAddress client, StopToken stop) {
  CHECK(inside_.Has(to.ip));
  io::ConnectOptions options{.to = to, .bind = io::SocketAddress{client, 0}, .socket = {}};
  co_return co_await inside_.Connect(loop, std::move(options), stop);
}

std::vector<PodListener> FakePodNetwork::Listeners(uint16_t application_port) {
  std::vector<PodListener> listeners;
  for (const ListenerRole role : kListenerRoles) {
    const uint16_t port = role == ListenerRole::kOutbound       ? kOutboundPort
                          : role == ListenerRole::kInboundHbone ? kInboundHbonePort
                                                                : application_port;
    listeners.push_back({role, [this, port](io::Loop& loop) {
                           auto listener = outside_.Listen(loop, {address(), port});
                           CHECK(listener.has_value());
                           return *std::move(listener);
                         }});
  }
  return listeners;
}

Task<io::Result<std::unique_ptr<io::Connection>>> FakePodNetwork::Connect(io::Loop& loop,
                                                                          io::SocketAddress to,
                                                                          StopToken stop) {
  const io::SocketAddress from{address(), ++last_port_};
  destinations_[from] = to;
  io::ConnectOptions options{.to = {address(), kOutboundPort}, .bind = from, .socket = {}};
  auto connection = co_await outside_.Connect(loop, std::move(options), stop);
  if (!connection) destinations_.erase(from);
  co_return connection;
}

}  // namespace heddle::agent::testing
