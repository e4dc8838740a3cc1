#include "agent/node/netns.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

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

TEST(Netns, OpensWhateverIsAtItsPathWithoutWaiting) {
  const std::string path = ::testing::TempDir() + "/netns_test_fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const auto fd = OpenNetns(path);  // A FIFO without a writer.
  ::unlink(path.c_str());
  ASSERT_TRUE(fd.ok());
  EXPECT_FALSE(IdentifyNetns(fd->get()).ok());
}

TEST(Netns, TellsAPathThatLeadsElsewhere) {
  const auto own = OwnNetns();
  ASSERT_TRUE(own.ok());
  EXPECT_TRUE(CheckNetnsPath("/proc/self/ns/net", *own).ok());
  const NetnsInode other{own->device, own->inode + 1};
  for (const char* path : {"/proc/self/ns/net", "/proc/self/ns/mnt", "/proc/self/ns/none"})
    EXPECT_TRUE(absl::IsFailedPrecondition(CheckNetnsPath(path, other))) << path;
  const NoDescriptors none;
  EXPECT_TRUE(absl::IsUnavailable(CheckNetnsPath("/proc/self/ns/net", *own)));
}

}  // namespace
}  // namespace heddle::agent
