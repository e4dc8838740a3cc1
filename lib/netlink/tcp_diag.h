#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <memory>

#include "lib/io/address.h"

namespace heddle::netlink {

// Questions about the TCP sockets of one netns (sock_diag(7)). Not thread-safe.
class TcpDiag {
 public:
  // For the calling thread's netns, for good.
  static absl::StatusOr<std::unique_ptr<TcpDiag>> Open();
  ~TcpDiag();

  // True when a socket with exactly this local and remote address is alive (in TIME_WAIT too).
  absl::StatusOr<bool> Exists(const io::SocketAddress& local, const io::SocketAddress& remote);
  // How many ends of established connections of this family are there; those to their own address do
  // not count.
  absl::StatusOr<size_t> CountEstablished(int family);
  // True when a socket of this family listens on the port, at whatever address.
  absl::StatusOr<bool> IsListening(uint16_t port, int family);

 private:
  struct State;
  explicit TcpDiag(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace heddle::netlink
