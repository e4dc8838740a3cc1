#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <optional>

#include "lib/io/address.h"

namespace heddle::netlink {

struct TcpSocket {
  bool time_wait = false;  // Closed, and remembered for late packets.
  uint32_t mark = 0;       // SO_MARK; 0 too where the kernel does not tell it of a closed one.
};

// Questions about the TCP sockets of one netns (sock_diag(7)). Not thread-safe.
class TcpDiag {
 public:
  // For the calling thread's netns, for good.
  static absl::StatusOr<std::unique_ptr<TcpDiag>> Open();
  ~TcpDiag();

  // The socket with exactly this local and remote address.
  absl::StatusOr<std::optional<TcpSocket>> Find(const io::SocketAddress& local,
                                                const io::SocketAddress& remote);
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
