#include "cni-plugin/agent_client.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "lib/base/unique_fd.h"
#include "lib/cni/seqpacket.h"

namespace heddle::cni {
namespace {

// Between two tries at a full accept queue: a unix socket has no event for "there is room again".
constexpr int kRetryMilliseconds = 10;

std::unexpected<NoAnswer> Failed(std::string what, int error) {
  return std::unexpected(NoAnswer{.reason = std::move(what) + ": " + std::strerror(error)});
}

// Waits until the socket has `events`, or its peer is gone; false at the deadline.
bool WaitFor(int socket, short events, const Deadline& deadline) {
  while (!deadline.Passed()) {
    pollfd poll_entry{.fd = socket, .events = events, .revents = 0};
    const int ready = ::poll(&poll_entry, 1, deadline.Left());
    if (ready > 0) return true;
    if (ready < 0 && errno != EINTR) return false;
  }
  return false;
}

Result<UniqueFd, NoAnswer> Connect(const std::string& path, const Deadline& deadline) {
  UniqueFd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid()) return Failed("socket", errno);
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = {}};
  std::copy_n(path.data(), std::min(path.size(), sizeof(address.sun_path) - 1), address.sun_path);
  while (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    if (errno != EAGAIN && errno != EINTR) return Failed("connect to " + path, errno);
    if (deadline.Passed()) return Failed("connect to " + path, ETIMEDOUT);
    ::poll(nullptr, 0, std::min(kRetryMilliseconds, deadline.Left()));
  }
  return socket;
}

Result<void, NoAnswer> Send(int socket, const std::string& message, int fd, const Deadline& deadline) {
  while (true) {
    const auto sent = SendMessage(socket, message, fd);
    if (sent) return {};
    if (sent.error() != EAGAIN) return Failed("send to the agent", sent.error());
    if (!WaitFor(socket, POLLOUT, deadline)) return Failed("send to the agent", ETIMEDOUT);
  }
}

}  // namespace

Result<Reply, NoAnswer> AskAgent(const std::string& socket_path, const Request& request, int netns_fd,
                                 const Deadline& deadline) {
  const auto message = EncodeRequest(request);
  if (!message) return std::unexpected(NoAnswer{.reason = message.error().msg});
  TRY(const UniqueFd socket, Connect(socket_path, deadline));
  TRY_VOID(Send(socket.get(), *message, netns_fd, deadline));

  const auto unanswered = [](std::string reason) {
    return std::unexpected(NoAnswer{.reason = std::move(reason), .delivered = true});
  };
  while (WaitFor(socket.get(), POLLIN, deadline)) {
    const auto received = ReceiveMessage(socket.get());
    if (!received && received.error() == EAGAIN) continue;
    if (!received) return unanswered(std::string("the agent's answer: ") + std::strerror(received.error()));
    if (received->bytes.empty()) return unanswered("the agent closed the connection without an answer");
    auto reply = DecodeReply(received->bytes);
    if (!reply) return unanswered(reply.error().msg);
    return *std::move(reply);
  }
  return unanswered("the agent has not answered in time");
}

}  // namespace heddle::cni
