#pragma once

#include <absl/time/time.h>

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/io/loop.h"
#include "lib/io/network.h"

namespace heddle::io {

// Sets what every TCP connection of ours has: TCP_NODELAY, keep-alive (180 s, 180 s, 9 probes). The one place for it.
void SetConnectionOptions(int fd);

// The addresses of a TCP or UDP socket; "[::]:0" when it has none, or is of another family.
SocketAddress LocalAddress(int fd);
SocketAddress PeerAddress(int fd);

// A connected stream socket (TCP or Unix) on `loop`. Takes the descriptor, which must be non-blocking.
std::unique_ptr<Connection> MakeConnection(Loop& loop, UniqueFd fd);

// Listens on an already bound and listening descriptor (made in another netns, or inherited).
std::unique_ptr<Listener> MakeListener(Loop& loop, UniqueFd fd);

// A listening TCP socket of the calling thread's netns; IPv6 sockets with the unspecified address are dual-stack.
Result<UniqueFd> ListenTcp(const SocketAddress& address, int backlog);

// The network of this process: sockets of its own netns, or those that ConnectOptions brings.
class KernelNetwork final : public Network {
 public:
  Task<Result<std::unique_ptr<Connection>>> Connect(Loop& loop, ConnectOptions options, StopToken stop) override;
  Result<std::unique_ptr<Listener>> Listen(Loop& loop, const SocketAddress& address) override;
};

// co_await WaitReady(loop, fd, POLLIN, stop): until the descriptor is ready; the poll(2) mask. The descriptor
// may be closed when no wait is under way, without Reactor::Forget.
Task<Result<int>> WaitReady(Loop& loop, int fd, short events, StopToken stop);

// One message of a SOCK_SEQPACKET or SOCK_DGRAM Unix socket with at most one descriptor.
struct UnixMessage {
  std::vector<uint8_t> bytes;
  UniqueFd descriptor;    // With SCM_RIGHTS, close-on-exec.
  bool truncated = false;  // The message was longer than `size_max`, or carried more than one descriptor (all closed).
};

struct PeerCredentials {
  int pid = 0;
  uint32_t uid = 0;
  uint32_t gid = 0;
};

// A SOCK_SEQPACKET Unix connection: whole messages, with descriptors.
class UnixPacketConnection {
 public:
  UnixPacketConnection(Loop& loop, UniqueFd fd) : loop_(loop), fd_(std::move(fd)) {}
  ~UnixPacketConnection();
  // Empty bytes mean that the peer has closed.
  Task<Result<UnixMessage>> Receive(size_t size_max, StopToken stop);
  Task<Result<void>> Send(std::span<const uint8_t> bytes, StopToken stop);
  Result<PeerCredentials> peer_credentials() const;

 private:
  Loop& loop_;
  UniqueFd fd_;
};

// Listens at a path of the file system: a stale socket file is replaced, the mode set before the first accept.
// The file is removed when the listener goes, unless another has taken the path since. A path on which somebody
// listens is EADDRINUSE.
class UnixListener {
 public:
  // `type` is SOCK_STREAM or SOCK_SEQPACKET.
  static Result<std::unique_ptr<UnixListener>> Listen(Loop& loop, const std::string& path, int type, uint32_t mode);
  ~UnixListener();
  Task<Result<UniqueFd>> Accept(StopToken stop);

 private:
  UnixListener(Loop& loop, UniqueFd fd, std::string path);
  Loop& loop_;
  UniqueFd fd_;
  std::string path_;
  uint64_t inode_ = 0;  // Of our socket file.
  uint64_t pauses_total_ = 0;
};

}  // namespace heddle::io
