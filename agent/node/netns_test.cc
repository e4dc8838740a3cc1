#include "agent/node/netns.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

namespace heddle::agent {
namespace {

// Lets the process open nothing more while it lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    const rlimit none{.rlim_cur = 0, .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_{};
};

TEST(Netns, IsNotFoundOnlyWhenItsPathLeadsNowhere) {
  EXPECT_TRUE(absl::IsNotFound(OpenNetns("/proc/self/ns/none").status()));
  EXPECT_TRUE(absl::IsNotFound(OpenNetns("/proc/self/status/net").status()));
  EXPECT_TRUE(OpenNetns("/proc/self/ns/net").ok());
  const NoDescriptors none;
  EXPECT_TRUE(absl::IsUnavailable(OpenNetns("/proc/self/ns/net").status()));
}

}  // namespace
}  // namespace heddle::agent
