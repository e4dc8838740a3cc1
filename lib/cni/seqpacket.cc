#include "lib/cni/seqpacket.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <cerrno>
#include <cstring>
#include <vector>

#include "lib/cni/protocol.h"

namespace heddle::cni {
namespace {

// Room for more descriptors than are allowed, so that surplus ones arrive here and are closed instead of hidden.
constexpr size_t kDescriptorRoom = 8;

union ControlBuffer {
  char bytes[CMSG_SPACE(sizeof(int) * kDescriptorRoom)];
  cmsghdr align;
};

std::vector<UniqueFd> TakeDescriptors(msghdr& message) {
  std::vector<UniqueFd> fds;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      fds.emplace_back(fd);
    }
  }
  return fds;
}

}  // namespace

Result<void, int> SendMessage(int socket, std::string_view bytes, int fd) {
  iovec data{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  ControlBuffer control{};
  msghdr message{.msg_iov = &data, .msg_iovlen = 1};
  if (fd >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = CMSG_SPACE(sizeof(int));
    cmsghdr* rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(rights), &fd, sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
  } while (sent < 0 && errno == EINTR);
  if (sent < 0) return std::unexpected(errno);
  return {};
}

Result<ReceivedMessage, int> ReceiveMessage(int socket) {
  ReceivedMessage received;
  received.bytes.resize(kMaxMessageBytes);
  iovec data{.iov_base = received.bytes.data(), .iov_len = received.bytes.size()};
  ControlBuffer control{};
  msghdr message{.msg_iov = &data, .msg_iovlen = 1};
  message.msg_control = control.bytes;
  message.msg_controllen = sizeof(control.bytes);
  ssize_t length = 0;
  do {
    length = ::recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return std::unexpected(errno);
  std::vector<UniqueFd> fds = TakeDescriptors(message);
  if ((message.msg_flags & MSG_TRUNC) != 0) return std::unexpected(EMSGSIZE);
  if ((message.msg_flags & MSG_CTRUNC) != 0 || fds.size() > 1) return std::unexpected(EPROTO);
  received.bytes.resize(static_cast<size_t>(length));
  if (!fds.empty()) received.fd = std::move(fds[0]);
  return received;
}

}  // namespace heddle::cni
