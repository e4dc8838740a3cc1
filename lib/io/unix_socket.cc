#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "lib/io/accept_loop.h"
#include "lib/io/socket.h"

namespace heddle::io {
namespace {

constexpr int kBacklog = 128;
constexpr size_t kDescriptorsMax = 253;  // SCM_MAX_FD: what one message can carry; all have to be seen to be closed.

std::vector<UniqueFd> TakeDescriptors(msghdr& header) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(fd);
    }
  }
  return descriptors;
}

// One recvmsg: a message, or -1 with errno.
ssize_t ReceiveMessage(int fd, size_t size_max, UnixMessage& message) {
  alignas(cmsghdr) std::array<uint8_t, CMSG_SPACE(kDescriptorsMax * sizeof(int))> control;
  message.bytes.resize(size_max);
  iovec bytes{.iov_base = message.bytes.data(), .iov_len = size_max};
  msghdr header{};
  header.msg_iov = &bytes;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  const ssize_t n = ::recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (n < 0) return n;
  message.bytes.resize(static_cast<size_t>(n));
  std::vector<UniqueFd> descriptors = TakeDescriptors(header);
  message.truncated = (header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 || descriptors.size() > 1;
  if (!message.truncated && descriptors.size() == 1) message.descriptor = std::move(descriptors.front());
  return n;
}

Result<sockaddr_un> PathAddress(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return std::unexpected(Error::Errno(ENAMETOOLONG, Op::kBind));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

uint64_t InodeOf(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 ? status.st_ino : 0;
}

// Removes a socket file that nobody listens on.
Result<void> RemoveStale(const sockaddr_un& address, int type) {
  struct stat status {};
  if (::lstat(address.sun_path, &status) != 0) return {};  // bind() finds out what else may be wrong.
  if (!S_ISSOCK(status.st_mode)) return std::unexpected(Error::Errno(EADDRINUSE, Op::kBind));
  const UniqueFd probe(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!probe.valid()) return std::unexpected(Error::Errno(errno, Op::kSocket));
  const int rc = ::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  if (rc == 0 || errno == EAGAIN) return std::unexpected(Error::Errno(EADDRINUSE, Op::kBind));
  if (::unlink(address.sun_path) != 0 && errno != ENOENT) return std::unexpected(Error::Errno(errno, Op::kBind));
  return {};
}

}  // namespace

UnixPacketConnection::~UnixPacketConnection() { loop_.reactor().Forget(fd_.get()); }

Task<Result<UnixMessage>> UnixPacketConnection::Receive(size_t size_max, StopToken stop) {
  while (true) {
    CO_TRY_VOID(co_await WaitReady(loop_, fd_.get(), POLLIN, stop));
    UnixMessage message;
    if (ReceiveMessage(fd_.get(), size_max, message) >= 0) co_return message;
    if (errno != EAGAIN && errno != EINTR) co_return std::unexpected(Error::Errno(errno, Op::kRead));
  }
}

Task<Result<void>> UnixPacketConnection::Send(std::span<const uint8_t> bytes, StopToken stop) {
  while (true) {
    CO_TRY_VOID(co_await WaitReady(loop_, fd_.get(), POLLOUT, stop));
    // A message is taken whole or not at all.
    if (::send(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) co_return Result<void>();
    if (errno != EAGAIN && errno != EINTR) co_return std::unexpected(Error::Errno(errno, Op::kWrite));
  }
}

Result<PeerCredentials> UnixPacketConnection::peer_credentials() const {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (::getsockopt(fd_.get(), SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return std::unexpected(Error::Errno(errno, Op::kSocket));
  }
  return PeerCredentials{.pid = credentials.pid, .uid = credentials.uid, .gid = credentials.gid};
}

Result<std::unique_ptr<UnixListener>> UnixListener::Listen(Loop& loop, const std::string& path, int type,
                                                           uint32_t mode) {
  TRY(const sockaddr_un address, PathAddress(path));
  UniqueFd fd(::socket(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return std::unexpected(Error::Errno(errno, Op::kSocket));
  TRY_VOID(RemoveStale(address, type));
  // Nobody can connect before listen(): until then the mode is not yet what was asked for.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 ||
      ::chmod(path.c_str(), mode) != 0) {
    return std::unexpected(Error::Errno(errno, Op::kBind));
  }
  if (::listen(fd.get(), kBacklog) != 0) return std::unexpected(Error::Errno(errno, Op::kListen));
  return std::unique_ptr<UnixListener>(new UnixListener(loop, std::move(fd), path));
}

UnixListener::UnixListener(Loop& loop, UniqueFd fd, std::string path)
    : loop_(loop), fd_(std::move(fd)), path_(std::move(path)), inode_(InodeOf(path_)) {}

UnixListener::~UnixListener() {
  loop_.reactor().Forget(fd_.get());
  if (InodeOf(path_) == inode_) ::unlink(path_.c_str());
}

Task<Result<UniqueFd>> UnixListener::Accept(StopToken stop) {
  CO_TRY(Accepted accepted, co_await AcceptNext(loop_, fd_.get(), pauses_total_, stop));
  co_return std::move(accepted.socket);
}

}  // namespace heddle::io
