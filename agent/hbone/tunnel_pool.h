#pragma once

#include <absl/container/flat_hash_map.h>

#include <memory>
#include <optional>
#include <vector>

#include "agent/hbone/tunnel.h"

namespace heddle::agent {

struct TunnelPoolStats {
  size_t tunnels = 0;           // Open or being opened.
  uint64_t attempts_total = 0;  // To open one.
  uint64_t retried_total = 0;   // Requests that a peer refused unseen and that were sent again.
};

// The tunnels of one pod on one worker, by target: next hop, accepted identities, own certificate.
// Because a pool belongs to one pod, two pods never share a tunnel, even with the same
// ServiceAccount: the address that a peer sees is the pod's own. Because the certificate is part of
// the key, a rotated one is used by all new tunnels, and the old tunnels drain.
//
// Tunnels are opened in the pool's scope, one at a time per target: whoever asks meanwhile waits
// for it, so a burst of connects is no storm of handshakes. Another tunnel is opened when all of a
// target are full. One loop's only. Close() before destruction.
class TunnelPool {
 public:
  // The network and the options outlive the pool.
  TunnelPool(io::Loop& loop, PodNetwork& network, const TunnelOptions& options);
  ~TunnelPool();
  TunnelPool(const TunnelPool&) = delete;
  TunnelPool& operator=(const TunnelPool&) = delete;

  // A stream whose CONNECT request was answered with 200, or why there is none. A request that the
  // peer has refused unseen (GOAWAY, REFUSED_STREAM) is sent once more on another tunnel: no
  // payload leaves before the 200.
  Task<TunnelResult<std::unique_ptr<http::H2Stream>>> Connect(TunnelTarget target,
                                                              http::Headers request,
                                                              StopToken stop);

  // From now on only tunnels with this context get new streams; the others end with their last
  // stream.
  void RetireOthers(const tls::TlsContext* current);
  // Ends all tunnels at once, with GOAWAY; returns when they and their streams are gone. No
  // Connect() succeeds afterwards.
  Task<void> Close();

  const TunnelPoolStats& stats() const { return stats_; }

 private:
  struct Group;
  class GroupUse;
  struct Opener;
  struct OpenStream {
    Tunnel* tunnel;
    std::unique_ptr<http::H2Stream> stream;
  };

  Task<TunnelResult<OpenStream>> Request(Group& group, const http::Headers& request,
                                         StopToken stop);
  TunnelResult<void> StartTunnel(Group& group, std::shared_ptr<FirstRequest> first);
  Task<void> RunTunnel(Group& group, std::shared_ptr<FirstRequest> first);
  void Unuse(Group& group);

  io::Loop& loop_;
  PodNetwork& network_;
  const TunnelOptions& options_;
  absl::flat_hash_map<TunnelTarget, std::unique_ptr<Group>> groups_;
  TunnelPoolStats stats_;
  bool closed_ = false;
  Scope scope_;
};

}  // namespace heddle::agent
