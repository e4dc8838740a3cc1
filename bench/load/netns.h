#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <utility>

#include "lib/base/unique_fd.h"
#include "lib/io/address.h"
#include "lib/io/error.h"
#include "lib/io/loop.h"
#include "lib/io/network.h"

namespace heddle::bench {

// A network namespace in which sockets are made from outside, so that one process can be the clients or the servers of
// many pods. After Open() any thread may use it that has not left the namespace which the process began in. The agent's
// loops never enter another one (docs/hazards/netns-threads.md); here nothing but the one socket is made inside,
// nothing is submitted to a ring, and a thread that could not come back would abort.
class Netns {
 public:
  // The file that stands for it, as in /run/netns.
  static absl::StatusOr<Netns> Open(const std::string& path);

  // An unconnected TCP socket, for io::ConnectOptions.
  io::Result<UniqueFd> TcpSocket(int family) const;
  // See io::Network::Listen.
  io::Result<std::unique_ptr<io::Listener>> Listen(io::Loop& loop, const io::SocketAddress& address) const;

 private:
  Netns(UniqueFd inside, UniqueFd outside)
      : inside_(std::move(inside)), outside_(std::move(outside)) {}
  UniqueFd inside_, outside_;
};

}  // namespace heddle::bench
