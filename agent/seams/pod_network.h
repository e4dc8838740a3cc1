#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/io/loop.h"
#include "lib/io/network.h"

namespace heddle::agent {

// The roles of a captured pod's listeners; the port of each is fixed (design: 15001, 15006, 15008).
enum class ListenerRole : uint8_t { kOutbound, kInboundPlaintext, kInboundHbone };
inline constexpr ListenerRole kListenerRoles[] = {
    ListenerRole::kOutbound, ListenerRole::kInboundPlaintext, ListenerRole::kInboundHbone};
inline constexpr uint16_t kOutboundPort = 15001;
inline constexpr uint16_t kInboundPlaintextPort = 15006;
inline constexpr uint16_t kInboundHbonePort = 15008;
inline constexpr uint16_t kDnsPort = 15053;

// True for the ports that are ours in a captured pod and never a destination of its applications'
// traffic.
constexpr bool IsMeshPort(uint16_t port) {
  return port == kOutboundPort || port == kInboundPlaintextPort || port == kInboundHbonePort ||
         port == kDnsPort;
}

// Who a captured pod is: the controller's record of it (never looked up by IP) and what was found
// in its netns.
struct CapturedPod {
  std::string uid;  // Kubernetes pod UID.
  std::string namespace_name;
  std::string name;
  std::string service_account;
  std::string trust_domain;
  std::string workload_uid;  // Its key among the workloads of xDS.
  std::vector<io::IpAddress> addresses;
  uint64_t netns_cookie = 0;
};

// The network as seen from inside one captured pod's netns. agent/node implements it with the
// kernel, the simulation with its fake network. Lives (shared) as long as the pod is captured or a
// connection uses it. Thread-safe: the proxy's workers call it, each with its own loop.
class PodNetwork {
 public:
  virtual ~PodNetwork() = default;
  virtual const CapturedPod& pod() const = 0;

  // Where the application wanted to connect to, for a connection accepted on the outbound listener;
  // at most once for each. Empty: nobody recorded it, so the connection is not an application's of
  // this pod and must be reset.
  virtual std::optional<io::SocketAddress> TakeOriginalDestination(
      const io::SocketAddress& peer, const io::SocketAddress& local) = 0;

  // Connects from the pod's own address to the world: a peer's 15008, or a plain destination.
  virtual Task<io::Result<std::unique_ptr<io::Connection>>> DialOut(io::Loop& loop,
                                                                    io::SocketAddress to,
                                                                    StopToken stop) = 0;

  // Connects to the application inside the pod with the client's address as source, so that the
  // application sees its client. The port is chosen so that no live tuple of the netns is hit,
  // least of all the captured connection itself.
  virtual Task<io::Result<std::unique_ptr<io::Connection>>> DialApplication(io::Loop& loop,
                                                                            io::SocketAddress to,
                                                                            io::IpAddress client,
                                                                            StopToken stop) = 0;
};

// One of a captured pod's listening sockets, made in its netns and in LISTEN, not yet armed on a
// loop.
struct PodListener {
  ListenerRole role = ListenerRole::kOutbound;
  // Arms it on `loop`, on that loop's thread. Called once.
  absl::AnyInvocable<std::unique_ptr<io::Listener>(io::Loop& loop)> attach;
};

// What agent/node tells the proxy. Called on the control loop.
class PodObserver {
 public:
  virtual ~PodObserver() = default;
  // Serves the pod from now on. Returns when every listener's accept is armed.
  virtual Task<void> PodCaptured(std::shared_ptr<PodNetwork> network,
                                 std::vector<PodListener> listeners) = 0;
  // Ends the pod's listeners, tunnels and connections; returns when none of them uses its netns any
  // more.
  virtual Task<void> PodReleased(std::string uid) = 0;
  // How many connections of the pod are being served; tunnels that carry none do not count.
  virtual Task<size_t> CountConnections(std::string uid) = 0;
};

}  // namespace heddle::agent
