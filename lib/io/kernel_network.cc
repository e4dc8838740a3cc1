#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "lib/io/operation_awaiter.h"
#include "lib/io/socket.h"

namespace heddle::io {
namespace {

// Capped by net.core.somaxconn.
constexpr int kBacklog = 4096;

Result<UniqueFd> SocketFor(ConnectOptions& options) {
  if (options.socket.valid()) return std::move(options.socket);
  UniqueFd fd(::socket(options.to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return std::unexpected(Error::Errno(errno, Op::kSocket));
  return fd;
}

Result<void> Bind(int fd, int family, const SocketAddress& source) {
  const int on = 1;
  // With port 0 the kernel chooses the port at connect(), when the destination is known: ports are then shared
  // by destinations.
  if (source.port == 0) ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
  sockaddr_storage address;
  const socklen_t size = source.ToKernel(family, address);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), size) == 0) return {};
  return std::unexpected(Error::Errno(errno, Op::kBind));
}

}  // namespace

Task<Result<std::unique_ptr<Connection>>> KernelNetwork::Connect(Loop& loop, ConnectOptions options, StopToken stop) {
  CO_TRY(UniqueFd fd, SocketFor(options));
  SetConnectionOptions(fd.get());
  if (options.bind) CO_TRY_VOID(Bind(fd.get(), options.to.family(), *options.bind));
  OperationAwaiter<ConnectOperation> connect(loop, stop);
  connect.fd = fd.get();
  connect.address_size = options.to.ToKernel(options.to.family(), connect.address);
  const int32_t result = co_await connect;
  if (result < 0) {
    loop.reactor().Forget(fd.get());
    co_return std::unexpected(FailureOf(result, Op::kConnect, stop));
  }
  co_return MakeConnection(loop, std::move(fd));
}

Result<std::unique_ptr<Listener>> KernelNetwork::Listen(Loop& loop, const SocketAddress& address) {
  TRY(UniqueFd fd, ListenTcp(address, kBacklog));
  return MakeListener(loop, std::move(fd));
}

}  // namespace heddle::io
