#include "agent/node/pod_sockets.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <thread>

namespace heddle::agent {
namespace {

std::string ReadFile(const char* path) {
  std::string text;
  std::ifstream(path) >> text;
  return text;
}

// Namespaces of the calling thread alone, with /proc/sys as a container has it.
bool EnterContainer() {
  return ::unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("/proc/sys", "/proc/sys", nullptr, MS_BIND, nullptr) == 0 &&
         ::mount(nullptr, "/proc/sys", nullptr, MS_BIND | MS_REMOUNT | MS_RDONLY, nullptr) == 0;
}

TEST(PodSysctls, AreWrittenAndRestoredFromAContainerWhoseProcSysIsReadOnly) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, for namespaces of its own";
  std::thread([] {
    constexpr char kFile[] = "/proc/sys/net/ipv4/tcp_fwmark_accept";
    ASSERT_TRUE(EnterContainer());
    ASSERT_FALSE(std::ofstream(kFile).is_open());
    Sysctls before;
    const absl::Status applied = ApplyPodSysctls(before);
    ASSERT_TRUE(applied.ok()) << applied;
    EXPECT_EQ(before["net/ipv4/tcp_fwmark_accept"], "0");
    EXPECT_EQ(ReadFile(kFile), "1");
    EXPECT_TRUE(RestoreSysctls(before).ok());
    EXPECT_EQ(ReadFile(kFile), "0");
  }).join();
}

}  // namespace
}  // namespace heddle::agent
