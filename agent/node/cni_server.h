#pragma once

#include <cstdint>
#include <memory>

#include "lib/base/scope.h"
#include "lib/base/unique_fd.h"
#include "lib/cni/protocol.h"
#include "lib/io/loop.h"
#include "lib/io/socket.h"

namespace heddle::agent {

// Who decides what a CNI command does.
class CniHandler {
 public:
  virtual ~CniHandler() = default;
  // `netns` is the descriptor that came with the request, for ADD and CHECK; not checked yet to be
  // a netns. The stop token has the deadline by which the plugin wants its answer.
  virtual Task<cni::Reply> Handle(cni::Request request, UniqueFd netns, StopToken stop) = 0;
  // Called when a reply has been sent: time for what the next command will need.
  virtual void PrepareNext() = 0;
};

struct CniServerStats {
  uint64_t requests_total = 0;
  uint64_t refused_total = 0;  // Not from root, malformed, or above the limit of connections.
};

// The plugin's other end: a SEQPACKET Unix socket, one request and one reply per connection, peers
// are root only. A malformed message ends its own connection with a reply that says why. Control
// loop only.
class CniServer {
 public:
  CniServer(io::Loop& loop, CniHandler& handler) : loop_(loop), handler_(handler), scope_(loop) {}

  // Serves until stopped; then requests under way are answered or run into their deadline.
  Task<void> Run(std::unique_ptr<io::UnixListener> listener, StopToken stop);
  const CniServerStats& stats() const { return stats_; }

 private:
  Task<void> Serve(UniqueFd connection);
  Task<cni::Reply> Answer(io::UnixPacketConnection& connection, StopToken stop);

  io::Loop& loop_;
  CniHandler& handler_;
  CniServerStats stats_;
  Scope scope_;
};

}  // namespace heddle::agent
