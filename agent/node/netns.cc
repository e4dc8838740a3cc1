#include "agent/node/netns.h"

#include <absl/strings/str_cat.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "lib/base/check.h"
#include "lib/base/status.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71  // Since Linux 5.14; newer than Debian 12's libc headers.
#endif

namespace heddle::agent {
namespace {

constexpr char kOwnNetnsPath[] = "/proc/thread-self/ns/net";
// containerd and CRI-O, and iproute2's `ip netns`; Docker's.
constexpr const char* kNetnsMounts[] = {"/run/netns", "/run/docker/netns"};

absl::Status RunInside(int own, int netns_fd, absl::AnyInvocable<absl::Status()>& work) {
  if (::setns(netns_fd, CLONE_NEWNET) != 0) {
    return absl::InternalError(
        absl::StrCat("cannot enter the network namespace: ", std::strerror(errno),
                     "; the agent needs CAP_SYS_ADMIN"));
  }
  absl::Status status = work();
  CHECK(::setns(own, CLONE_NEWNET) == 0);
  return status;
}

Task<void> Enter(int own, int netns_fd, absl::AnyInvocable<absl::Status()>& work,
                 absl::Status& status) {
  status = RunInside(own, netns_fd, work);
  co_return;
}

Task<void> Call(absl::AnyInvocable<void()>& work) {
  work();
  co_return;
}

}  // namespace

absl::StatusOr<NetnsInode> IdentifyNetns(int fd) {
  const int type = ::ioctl(fd, NS_GET_NSTYPE);
  if (type != CLONE_NEWNET)
    return absl::InvalidArgumentError("the descriptor is not a network namespace");
  struct stat info{};
  if (::fstat(fd, &info) != 0)
    return absl::InternalError(absl::StrCat("fstat: ", std::strerror(errno)));
  return NetnsInode{info.st_dev, info.st_ino};
}

absl::StatusOr<UniqueFd> OpenNetns(const std::string& path) {
  // Whatever else is at that path: a FIFO would hold the thread that opens it.
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (fd.valid()) return fd;
  const int error = errno;
  const std::string sentence = absl::StrCat("cannot open netns ", path, ": ", std::strerror(error));
  // ESRCH: /proc of a process that has ended.
  const bool gone = error == ENOENT || error == ENOTDIR || error == ESRCH;
  return gone ? absl::NotFoundError(sentence) : absl::UnavailableError(sentence);
}

absl::Status CheckNetnsPath(const std::string& path, const NetnsInode& netns) {
  const auto fd = OpenNetns(path);
  if (absl::IsUnavailable(fd.status())) return fd.status();
  if (fd.ok()) {
    const auto named = IdentifyNetns(fd->get());
    if (named.ok() && *named == netns) return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      path, " is not the pod's network namespace where the agent looks; does the agent see the ",
      "container runtime's directory of network namespaces?"));
}

std::string FindNetnsMount(const NetnsInode& netns) {
  std::error_code error;
  for (const char* directory : kNetnsMounts) {
    // Not a range-for, whose increment throws.
    for (std::filesystem::directory_iterator entry(directory, error);
         !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
      struct stat info{};
      if (::stat(entry->path().c_str(), &info) == 0 && info.st_dev == netns.device &&
          info.st_ino == netns.inode)
        return entry->path();
    }
  }
  return "";
}

absl::StatusOr<NetnsInode> OwnNetns() {
  TRY_ASSIGN(const UniqueFd fd, OpenNetns(kOwnNetnsPath));
  return IdentifyNetns(fd.get());
}

absl::StatusOr<uint64_t> OwnNetnsCookie() {
  const UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  uint64_t cookie = 0;
  socklen_t size = sizeof(cookie);
  if (!fd.valid() || ::getsockopt(fd.get(), SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &size) != 0) {
    return absl::InternalError(
        absl::StrCat("SO_NETNS_COOKIE (Linux 5.14 or newer): ", std::strerror(errno)));
  }
  return cookie;
}

NetnsThread::NetnsThread(Clock& clock)
    : pool_(clock, 1, "hd-netns", io::LoopOptions{.backend = io::BackendChoice::kEpoll}) {
  auto own = OpenNetns(kOwnNetnsPath);
  CHECK(own.ok());
  own_ = *std::move(own);
}

Task<absl::Status> NetnsThread::Run(io::Loop& home, int netns_fd,
                                    absl::AnyInvocable<absl::Status()> work) {
  absl::Status status = absl::OkStatus();
  absl::AnyInvocable<Task<void>()> enter = [&] {
    return Enter(own_.get(), netns_fd, work, status);
  };
  co_await io::RunOn(home, pool_.loop(0), std::move(enter));
  co_return status;
}

Task<void> NetnsThread::RunOutside(io::Loop& home, absl::AnyInvocable<void()> work) {
  absl::AnyInvocable<Task<void>()> call = [&work] { return Call(work); };
  co_await io::RunOn(home, pool_.loop(0), std::move(call));
}

}  // namespace heddle::agent
