#include "lib/netlink/socket.h"

#include <absl/strings/str_cat.h>
#include <libmnl/libmnl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <vector>

namespace heddle::netlink {
namespace {

// The kernel answers within its own call; a wait longer than this means that the answer was lost.
constexpr timeval kAnswerTimeout = {.tv_sec = 2, .tv_usec = 0};
// A dump's messages are at most a page or 16 KiB; libmnl recommends the same.
constexpr size_t kReceiveBytes = 32 * 1024;

}  // namespace

struct Socket::Buffers {
  mnl_socket* socket = nullptr;
  unsigned int sequence = 0;
  std::vector<char> receive = std::vector<char>(kReceiveBytes);

  ~Buffers() {
    if (socket != nullptr) mnl_socket_close(socket);
  }
};

Socket::Socket() : buffers_(std::make_unique<Buffers>()) {}
Socket::~Socket() = default;

absl::Status Socket::Fail(const char* what, int error) {
  last_errno_ = error;
  return absl::InternalError(absl::StrCat(what, ": ", std::strerror(error)));
}

absl::StatusOr<std::unique_ptr<Socket>> Socket::Open(int protocol) {
  std::unique_ptr<Socket> opened(new Socket());
  mnl_socket*& socket = opened->buffers_->socket;
  socket = mnl_socket_open2(protocol, SOCK_CLOEXEC);
  if (socket == nullptr) return opened->Fail("netlink socket", errno);
  if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0)
    return opened->Fail("netlink bind", errno);
  ::setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &kAnswerTimeout,
               sizeof(kAnswerTimeout));
  return opened;
}

absl::Status Socket::Request(nlmsghdr* message, absl::FunctionRef<void(const nlmsghdr*)> visit) {
  mnl_socket* socket = buffers_->socket;
  last_errno_ = 0;
  message->nlmsg_seq = ++buffers_->sequence;
  if (mnl_socket_sendto(socket, message, message->nlmsg_len) < 0)
    return Fail("netlink send", errno);
  const auto each = [](const nlmsghdr* answer, void* context) {
    (*static_cast<absl::FunctionRef<void(const nlmsghdr*)>*>(context))(answer);
    return MNL_CB_OK;
  };
  // A dump ends with NLMSG_DONE, a change with its acknowledgement, a single look-up with its one
  // answer.
  const bool single = (message->nlmsg_flags & (NLM_F_DUMP | NLM_F_ACK)) == 0;
  while (true) {
    const ssize_t got =
        mnl_socket_recvfrom(socket, buffers_->receive.data(), buffers_->receive.size());
    if (got < 0) return Fail("netlink receive", errno);
    const int state = mnl_cb_run(buffers_->receive.data(), static_cast<size_t>(got),
                                 buffers_->sequence, mnl_socket_get_portid(socket), each, &visit);
    if (state < 0 && single && errno == ENOENT) {
      // That a look-up finds nothing is an answer like others, and each dial to an application wants it: no text.
      last_errno_ = ENOENT;
      return {absl::StatusCode::kNotFound, ""};
    }
    if (state < 0) return Fail("netlink", errno);
    if (state == MNL_CB_STOP || single) return absl::OkStatus();
  }
}

}  // namespace heddle::netlink
