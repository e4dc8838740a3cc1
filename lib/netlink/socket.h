#pragma once

#include <absl/functional/function_ref.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <span>

struct nlmsghdr;

namespace heddle::netlink {

// A netlink socket. It belongs for ever to the netns in which it was opened, whatever thread uses
// it later; it does not keep that netns alive longer than any other socket. Blocking, one request
// at a time, not thread-safe.
class Socket {
 public:
  // `protocol` is NETLINK_ROUTE or NETLINK_SOCK_DIAG.
  static absl::StatusOr<std::unique_ptr<Socket>> Open(int protocol);
  ~Socket();
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  // Sends one finished message (with NLM_F_REQUEST) and hands each message of the answer to
  // `visit`. The kernel's error becomes a status whose message is the errno's text; its errno is in
  // last_errno().
  absl::Status Request(nlmsghdr* message, absl::FunctionRef<void(const nlmsghdr*)> visit);
  int last_errno() const { return last_errno_; }

 private:
  struct Buffers;
  Socket();
  absl::Status Fail(const char* what, int error);
  std::unique_ptr<Buffers> buffers_;
  int last_errno_ = 0;
};

}  // namespace heddle::netlink
