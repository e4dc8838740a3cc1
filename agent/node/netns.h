#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <string>

#include "lib/base/unique_fd.h"
#include "lib/io/loop_pool.h"

namespace heddle::agent {

// Which network namespace a descriptor refers to. Inode numbers are reused, so a record also keeps
// the kernel's cookie, which is not.
struct NetnsInode {
  dev_t device = 0;
  ino_t inode = 0;
  auto operator<=>(const NetnsInode&) const = default;
};

// Checks that the descriptor is a network namespace (ioctl NS_GET_NSTYPE, ioctl_ns(2)), and names
// it.
absl::StatusOr<NetnsInode> IdentifyNetns(int fd);
// NOT_FOUND when the path leads nowhere; another code when it could not be looked at, which says
// nothing about the netns.
absl::StatusOr<UniqueFd> OpenNetns(const std::string& path);
// FAILED_PRECONDITION with a sentence when the path does not lead to this netns, UNAVAILABLE when it
// could not be looked at.
absl::Status CheckNetnsPath(const std::string& path, const NetnsInode& netns);
// Where a container runtime has mounted this netns, in the directories in which the known ones do.
// Empty: nowhere.
std::string FindNetnsMount(const NetnsInode& netns);
// The calling thread's.
absl::StatusOr<NetnsInode> OwnNetns();
// SO_NETNS_COOKIE of the calling thread's netns.
absl::StatusOr<uint64_t> OwnNetnsCookie();

// The one thread that enters other network namespaces (setns(2)). Loops never do: their rings and
// descriptors belong to the agent's own netns. If the way back fails, the process aborts, because
// nothing made on this thread afterwards could be trusted.
class NetnsThread {
 public:
  explicit NetnsThread(Clock& clock);

  // Runs `work` inside the netns, resumes the caller on `home`. The descriptor stays the caller's
  // and open until then.
  Task<absl::Status> Run(io::Loop& home, int netns_fd, absl::AnyInvocable<absl::Status()> work);

  // Runs `work` on the same thread in the agent's own netns: for what would block a loop.
  Task<void> RunOutside(io::Loop& home, absl::AnyInvocable<void()> work);

 private:
  io::LoopPool pool_;
  UniqueFd own_;
};

}  // namespace heddle::agent
