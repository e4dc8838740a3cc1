// The socket calls of applications and proxies in these tests.
#include <fcntl.h>
#include <liburing.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "lib/base/check.h"
#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

constexpr timeval kConnectWait{.tv_sec = 2, .tv_usec = 0};

bool Prepare(int socket, const ConnectOptions& options) {
  const int one = 1;
  setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &kConnectWait, sizeof kConnectWait);
  setsockopt(socket, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (options.reset_on_close) {
    const linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
  }
  if (!options.device.empty() &&
      setsockopt(socket, SOL_SOCKET, SO_BINDTODEVICE, options.device.data(),
                 static_cast<socklen_t>(options.device.size())) != 0) {
    return false;
  }
  if (options.how == ConnectOptions::kFastOpenConnect &&
      setsockopt(socket, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &one, sizeof one) != 0) {
    return false;
  }
  if (!options.source) return true;
  sockaddr_storage source{};
  const int family = options.mapped ? AF_INET6 : options.source->family();
  const socklen_t size = options.source->ToKernel(family, source);
  return bind(socket, reinterpret_cast<sockaddr*>(&source), size) == 0;
}

// Without waiting for completion of the ring's own making: the call itself is what is tested.
int UringConnect(int socket, const sockaddr* to, socklen_t size, bool worker) {
  io_uring ring{};
  if (const int error = io_uring_queue_init(2, &ring, 0); error != 0) return -error;
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  io_uring_prep_connect(entry, socket, to, size);
  if (worker) entry->flags |= IOSQE_ASYNC;
  io_uring_submit_and_wait(&ring, 1);
  io_uring_cqe* completion = nullptr;
  io_uring_peek_cqe(&ring, &completion);
  const int result = completion != nullptr ? completion->res : -EIO;
  io_uring_queue_exit(&ring);
  return -result;
}

int Call(int socket, const sockaddr* to, socklen_t size, const ConnectOptions& options) {
  switch (options.how) {
    case ConnectOptions::kUring:
    case ConnectOptions::kUringWorker:
      return UringConnect(socket, to, size, options.how == ConnectOptions::kUringWorker);
    case ConnectOptions::kFastOpenSend:
      return sendto(socket, "x", 1, MSG_FASTOPEN, to, size) == 1 ? 0 : errno;
    case ConnectOptions::kFastOpenConnect:  // The SYN leaves with the first byte.
      if (connect(socket, to, size) != 0) return errno;
      return send(socket, "x", 1, 0) == 1 ? 0 : errno;
    case ConnectOptions::kConnect: break;
  }
  return connect(socket, to, size) == 0 ? 0 : errno;
}

io::SocketAddress NameOf(int socket, decltype(&getsockname) read) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (read(socket, reinterpret_cast<sockaddr*>(&name), &size) != 0) return {};
  return io::SocketAddress::FromKernel(name).value_or(io::SocketAddress());
}

bool IsReadable(int fd, int wait_ms) {
  pollfd poll_fd{.fd = fd, .events = POLLIN};
  return poll(&poll_fd, 1, wait_ms) == 1;
}

}  // namespace

io::IpAddress Ip(const std::string& text) {
  const auto address = io::IpAddress::Parse(text);
  CHECK(address.has_value());
  return *address;
}

io::SocketAddress At(const std::string& ip, uint16_t port) { return {Ip(ip), port}; }

Answer Connect(const io::SocketAddress& to, const ConnectOptions& options) {
  const int family = options.mapped ? AF_INET6 : to.family();
  const int flags = SOCK_STREAM | SOCK_CLOEXEC | (options.nonblocking ? SOCK_NONBLOCK : 0);
  Answer answer{.socket = UniqueFd(socket(family, flags, options.protocol))};
  if (!answer.socket.valid() || !Prepare(answer.socket.get(), options)) return {.error = errno};
  sockaddr_storage address{};
  const socklen_t size = to.ToKernel(family, address);
  answer.error = Call(answer.socket.get(), reinterpret_cast<sockaddr*>(&address), size, options);
  return answer;
}

Answer Listen(uint16_t port, int backlog, bool ipv4) {
  const int family = ipv4 ? AF_INET : AF_INET6;
  Answer answer{.socket = UniqueFd(socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0))};
  const int one = 1;
  setsockopt(answer.socket.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  sockaddr_storage address{};
  const io::SocketAddress any{ipv4 ? io::IpAddress::V4(0, 0, 0, 0) : io::IpAddress(), port};
  const socklen_t size = any.ToKernel(family, address);
  if (bind(answer.socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      listen(answer.socket.get(), backlog) != 0) {
    return {.error = errno};
  }
  return answer;
}

io::SocketAddress PeerOf(int socket) { return NameOf(socket, getpeername); }
io::SocketAddress LocalOf(int socket) { return NameOf(socket, getsockname); }

bool Eventually(const std::function<bool()>& condition) {
  for (int waited = 0; waited < kWaitMs; ++waited) {
    if (condition()) return true;
    poll(nullptr, 0, 1);
  }
  return condition();
}

std::optional<UniqueFd> Accept(int listener, int wait_ms) {
  if (!IsReadable(listener, wait_ms)) return std::nullopt;
  UniqueFd accepted(accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!accepted.valid()) return std::nullopt;
  return accepted;
}

bool NothingToAccept(int listener) { return !IsReadable(listener, 0); }

bool AreConnected(int a, int b) {
  char byte = 0;
  if (send(a, "!", 1, MSG_NOSIGNAL) != 1 || !IsReadable(b, kWaitMs)) return false;
  do {  // A byte of fast open may be there before ours.
    if (recv(b, &byte, 1, MSG_DONTWAIT) != 1) return false;
  } while (byte != '!');
  return true;
}

}  // namespace heddle::agent
