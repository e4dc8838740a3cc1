#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "lib/io/accept_loop.h"
#include "lib/io/socket.h"

namespace heddle::io {
namespace {

class AcceptedSocket final : public AcceptedConnection {
 public:
  explicit AcceptedSocket(Accepted accepted)
      : fd_(std::move(accepted.socket)), local_(LocalAddress(fd_.get())), peer_(accepted.peer) {}
  ~AcceptedSocket() override {
    if (!fd_.valid()) return;
    const linger at_once{.l_onoff = 1, .l_linger = 0};  // Closing sends a reset.
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  }
  SocketAddress local() const override { return local_; }
  SocketAddress peer() const override { return peer_; }
  std::unique_ptr<Connection> Attach(Loop& loop) override {
    CHECK(fd_.valid());
    return MakeConnection(loop, std::move(fd_));
  }

 private:
  UniqueFd fd_;
  SocketAddress local_;
  SocketAddress peer_;
};

class SocketListener final : public Listener {
 public:
  SocketListener(Loop& loop, UniqueFd fd)
      : loop_(loop), fd_(std::move(fd)), local_(LocalAddress(fd_.get())) {
    SetConnectionOptions(fd_.get());  // Accepted sockets inherit them.
  }
  ~SocketListener() override { loop_.reactor().Forget(fd_.get()); }
  SocketAddress local() const override { return local_; }
  uint64_t accept_pauses_total() const override { return pauses_total_; }

  Task<Result<std::unique_ptr<AcceptedConnection>>> Accept(StopToken stop) override {
    CO_TRY(Accepted accepted, co_await AcceptNext(loop_, fd_.get(), pauses_total_, stop));
    std::unique_ptr<AcceptedConnection> connection = std::make_unique<AcceptedSocket>(std::move(accepted));
    co_return connection;
  }

 private:
  Loop& loop_;
  UniqueFd fd_;
  SocketAddress local_;
  uint64_t pauses_total_ = 0;
};

}  // namespace

std::unique_ptr<Listener> MakeListener(Loop& loop, UniqueFd fd) {
  return std::make_unique<SocketListener>(loop, std::move(fd));
}

Result<UniqueFd> ListenTcp(const SocketAddress& address, int backlog) {
  UniqueFd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return std::unexpected(Error::Errno(errno, Op::kSocket));
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (address.family() == AF_INET6) {
    const int v6_only = address.ip.is_unspecified() ? 0 : 1;
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, &v6_only, sizeof(v6_only));
  }
  sockaddr_storage kernel_address;
  const socklen_t size = address.ToKernel(address.family(), kernel_address);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&kernel_address), size) != 0) {
    return std::unexpected(Error::Errno(errno, Op::kBind));
  }
  if (::listen(fd.get(), backlog) != 0) return std::unexpected(Error::Errno(errno, Op::kListen));
  return fd;
}

}  // namespace heddle::io
