#pragma once

#include <absl/time/time.h>

#include <memory>
#include <optional>

#include "lib/base/unique_fd.h"
#include "lib/io/stream.h"

namespace heddle::io {

class Loop;

// A connection that was accepted and belongs to no loop yet: it can be handed to another thread, once, before
// its first byte. Destroying it resets the connection.
class AcceptedConnection {
 public:
  virtual ~AcceptedConnection() = default;
  virtual SocketAddress local() const = 0;
  virtual SocketAddress peer() const = 0;
  // Binds it to `loop`, on that loop's thread. Call once.
  virtual std::unique_ptr<Connection> Attach(Loop& loop) = 0;
};

// A listening socket whose accept is armed on one loop. Not destroyed while an Accept is under way.
class Listener {
 public:
  virtual ~Listener() = default;
  virtual SocketAddress local() const = 0;
  // The next connection. Transient errors of single connections (ECONNABORTED, EPROTO) are absorbed; when
  // descriptors or memory run out (EMFILE, ENFILE, ENOBUFS, ENOMEM) it pauses on a timer, counts in
  // accept_pauses_total() and goes on. An error means that the listener is of no more use, or that `stop`
  // fired.
  virtual Task<Result<std::unique_ptr<AcceptedConnection>>> Accept(StopToken stop) = 0;
  virtual uint64_t accept_pauses_total() const = 0;
};

struct ConnectOptions {
  SocketAddress to;
  std::optional<SocketAddress> bind;  // Source to bind explicitly; port 0 lets the kernel choose.
  // An unconnected TCP socket of the right netns and of the family of `to`; created here when absent.
  UniqueFd socket;
};

// The kernel, or a simulated network.
class Network {
 public:
  virtual ~Network() = default;
  // A connected stream, with TCP_NODELAY and keep-alive set. The stop token ends the wait.
  virtual Task<Result<std::unique_ptr<Connection>>> Connect(Loop& loop, ConnectOptions options, StopToken stop) = 0;
  // Listens on an address (port 0: any) of this process's own network.
  virtual Result<std::unique_ptr<Listener>> Listen(Loop& loop, const SocketAddress& address) = 0;
};

}  // namespace heddle::io
