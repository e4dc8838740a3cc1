#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "agent/hbone/tunnel_metrics.h"
#include "agent/model/failure.h"
#include "agent/seams/pod_network.h"
#include "lib/base/result.h"
#include "lib/base/scope.h"
#include "lib/base/wait_queue.h"
#include "lib/http/h2_connection.h"
#include "lib/io/loop.h"
#include "lib/tls/stream.h"

namespace heddle::agent {

// Why a tunnel, or a stream of one, could not be had; `detail` is for the access log.
struct TunnelFailure {
  Failure failure;
  std::string detail;
};
template <typename T>
using TunnelResult = Result<T, TunnelFailure>;

// Where a tunnel leads, whom it accepts there, and who it says it is.
struct TunnelTarget {
  io::SocketAddress next_hop;
  // Accepted at the other end; an empty list accepts nobody.
  std::vector<tls::SpiffeId> identities;
  std::shared_ptr<const tls::TlsContext> context;

  bool operator==(const TunnelTarget&) const = default;
  template <typename H>
  friend H AbslHashValue(H state, const TunnelTarget& target) {
    return H::combine(std::move(state), target.next_hop, target.identities, target.context.get());
  }
};

struct TunnelOptions {
  absl::Duration connect_timeout = absl::Seconds(10);
  absl::Duration handshake_timeout = absl::Seconds(10);  // TLS and the first SETTINGS.
  // Until the CONNECT is answered, tunnel included.
  absl::Duration request_timeout = absl::Seconds(30);
  absl::Duration idle_timeout = absl::Minutes(5);
  // Of a tunnel that was opened because others were full, and is needed no more: it holds some 40 KiB
  // at each end, and a handshake for hundreds of connections is cheap.
  absl::Duration surplus_idle_timeout = absl::Seconds(1);
  size_t tunnels_max = 4096;  // Of one pool.
  http::H2ConnectionOptions http;
  TunnelMetrics* metrics = nullptr;  // Of all pools together; none: not counted.
};

class Tunnel;

// The request that a tunnel is opened for. It leaves with the end of the TLS handshake and does not wait for the peer's
// SETTINGS (RFC 9113 section 3.4), which saves a round trip and two segments.
struct FirstRequest {
  const http::Headers* request = nullptr;  // Null when who asked has given up.
  std::unique_ptr<http::H2Stream> stream;  // Set when it was sent.
  Tunnel* tunnel = nullptr;                // Of the stream; gone after it.
  bool opened = false;                     // Open() has succeeded: the stream is good to be used.
};

// What the kernel may hold of a tunnel's bytes before it can send them: streams share the tunnel, and
// what waits there waits before every other stream's bytes and before pings. So much that it
// does not run dry while a loop turns; with the largest write of ours before it, 2 ms of a 1 Gbit/s link.
inline constexpr size_t kTunnelUnsentBytesMax = 128 * 1024;

// Streams that we open on a tunnel whose peer allows fewer than twice as many as ours may have. To the peer a stream is
// open until its work has ended, so one that is reset and replaced counts twice for a moment, and what exceeds its
// limit costs the tunnel. (Agents before this one allow 400.)
inline constexpr size_t kStreamsOfANarrowPeer = 200;

// What a new tunnel takes of its thread's heap, roughly: its handshake, the sessions of TLS and HTTP/2.
inline constexpr size_t kTunnelHeapBytes = 40 * 1024;

// What an HBONE tunnel of ours announces: frames as large as Istio's proxy sends them are accepted.
http::H2ConnectionOptions HboneOptions();

// One HBONE tunnel, client side: TCP from inside the pod, mutual TLS, HTTP/2.
//
// Open() once; when it succeeded, Serve() once, which ends when the tunnel has been retired,
// closed, lost or idle for long, and its last stream has been destroyed. One loop's only;
// everything given outlives it.
class Tunnel {
 public:
  Tunnel(io::Loop& loop, PodNetwork& network, const TunnelTarget& target,
         const TunnelOptions& options);
  ~Tunnel();
  Tunnel(const Tunnel&) = delete;
  Tunnel& operator=(const Tunnel&) = delete;

  // `first` lives until it returns, and has no stream when it failed.
  Task<TunnelResult<void>> Open(FirstRequest& first, StopToken stop);
  // `peers` are the open tunnels to the same target, this one among them, the first of which is
  // given streams first: another one that is idle while that has room is one too many.
  Task<void> Serve(const std::vector<Tunnel*>& peers);

  // Whether the peer takes streams at all.
  bool TakesStreams() const { return connection_->usable() && connection_->peer_max_streams() > 0; }
  // Whether another stream fits now.
  bool CanOpen() const;
  size_t streams() const { return connection_->active_streams(); }
  // Sends the request; never waits.
  io::Result<std::unique_ptr<http::H2Stream>> Request(const http::Headers& request) {
    return connection_->Open(request);
  }
  // No new streams; those under way may go on as long as they like.
  void Retire();
  // Ends it at once, with a GOAWAY: streams fail.
  void Close();

 private:
  Task<TunnelResult<void>> Secure(std::unique_ptr<io::Connection> transport, FirstRequest& first,
                                  StopToken stop);
  Task<void> RunConnection();
  // How long it may stay idle, as things are.
  absl::Duration Patience(const std::vector<Tunnel*>& peers) const;

  io::Loop& loop_;
  PodNetwork& network_;
  const TunnelTarget& target_;
  const TunnelOptions& options_;
  std::optional<http::H2ClientConnection> connection_;
  bool retired_ = false;
  bool ended_ = false;
  WaitQueue changed_;  // retired_ or ended_ was set.
  StopSource closed_;
  Scope scope_;
};

}  // namespace heddle::agent
