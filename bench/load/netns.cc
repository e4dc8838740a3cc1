#include "bench/load/netns.h"

#include <absl/status/status.h>
#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "lib/base/check.h"
#include "lib/io/socket.h"

namespace heddle::bench {
namespace {

// The calling thread is inside for as long as this lives.
class Visit {
 public:
  Visit(int inside, int outside) : outside_(outside) {
    CHECK(::setns(inside, CLONE_NEWNET) == 0);
  }
  ~Visit() { CHECK(::setns(outside_, CLONE_NEWNET) == 0); }
  Visit(const Visit&) = delete;
  Visit& operator=(const Visit&) = delete;

 private:
  int outside_;
};

}  // namespace

absl::StatusOr<Netns> Netns::Open(const std::string& path) {
  UniqueFd outside(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
  CHECK(outside.valid());
  UniqueFd inside(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!inside.valid())
    return absl::NotFoundError(absl::StrCat("cannot open ", path, ": ", std::strerror(errno)));
  // Once, so that what is no network namespace, or forbidden, is told here.
  if (::setns(inside.get(), CLONE_NEWNET) != 0)
    return absl::InvalidArgumentError(absl::StrCat("cannot enter ", path, ": ", std::strerror(errno)));
  CHECK(::setns(outside.get(), CLONE_NEWNET) == 0);
  return Netns(std::move(inside), std::move(outside));
}

io::Result<UniqueFd> Netns::TcpSocket(int family) const {
  const Visit visit(inside_.get(), outside_.get());
  UniqueFd fd(::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd.valid()) return std::unexpected(io::Error::Errno(errno, io::Op::kSocket));
  return fd;
}

io::Result<std::unique_ptr<io::Listener>> Netns::Listen(io::Loop& loop, const io::SocketAddress& address) const {
  const Visit visit(inside_.get(), outside_.get());
  return io::KernelNetwork().Listen(loop, address);
}

}  // namespace heddle::bench
