#include "agent/node/pod_processes.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

constexpr char kUid[] = "0e7f4c5a-3b1d-4f6e-9a58-1c2d3e4f5a6b";
constexpr char kOther[] = "ffffffff-3b1d-4f6e-9a58-1c2d3e4f5a6b";

TEST(PodUidOfCgroup, ReadsWhatKubeletsName) {
  const struct {
    const char* what;
    const char* name;
    const char* want;
  } cases[] = {
      {"cgroupfs", "pod0e7f4c5a-3b1d-4f6e-9a58-1c2d3e4f5a6b", kUid},
      {"systemd", "kubepods-besteffort-pod0e7f4c5a_3b1d_4f6e_9a58_1c2d3e4f5a6b.slice", kUid},
      {"systemd, guaranteed", "kubepods-pod0e7f4c5a_3b1d_4f6e_9a58_1c2d3e4f5a6b.slice", kUid},
      {"systemd, of a node in a container",
       "kubelet-kubepods-pod0e7f4c5a_3b1d_4f6e_9a58_1c2d3e4f5a6b.slice", kUid},
      {"static pod", "pod0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdef"},
      {"a name that begins like one", "podman", ""},
      {"a daemon of the node", "containerd.service", ""},
      {"other words", "kubepods-podlike.slice", ""},
      {"all pods", "kubepods.slice", ""},
      {"not a UID", "pod0e7f4c5a.3b1d.4f6e.9a58.1c2d3e4f5a6b0000", ""},
      {"nothing", "", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(PodUidOfCgroup(c.name), c.want) << c.what;
}

// Directories as a kubelet makes them, with this process in those that are to hold one.
class PodSearchTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(root_); }
  void TearDown() override { fs::remove_all(root_); }

  void PutThisProcess(const std::string& cgroup) const {
    fs::create_directories(root_ + "/" + cgroup);
    std::ofstream(root_ + "/" + cgroup + "/cgroup.procs") << "0\n" << ::getpid() << "\n";
  }
  bool Finds(const std::string& uid) const {
    PodSearch search({uid}, root_);
    while (search.Step(2)) {
    }
    const auto found = search.found().find(uid);
    return found != search.found().end() && found->second.pid == ::getpid() &&
           found->second.netns == *OwnNetns() && search.found().size() == 1;
  }

  const std::string root_ = testing::TempDir() + "cgroups-" + std::to_string(::getpid());
};

TEST_F(PodSearchTest, FindsAPodByTheCgroupOfItsContainers) {
  EXPECT_FALSE(Finds(kUid));
  PutThisProcess("system.slice/kubelet.service");
  EXPECT_FALSE(Finds(kUid));
  PutThisProcess(std::string("kubepods/burstable/pod") + kUid + "/8a1f");
  EXPECT_TRUE(Finds(kUid));
  EXPECT_FALSE(Finds(kOther));
}

TEST_F(PodSearchTest, WhatAPodNamesBelowItsOwnCgroupDoesNotCount) {
  PutThisProcess(std::string("kubepods/pod") + kOther + "/x/kubepods/pod" + kUid);
  EXPECT_FALSE(Finds(kUid));
  EXPECT_TRUE(Finds(kOther));
}

TEST_F(PodSearchTest, AProcessThatHasEndedIsNoPlace) {
  const std::string cgroup = root_ + "/kubepods/pod" + kUid;
  fs::create_directories(cgroup);
  std::ofstream(cgroup + "/cgroup.procs") << "4194999\n";  // Above the largest pid.
  EXPECT_FALSE(Finds(kUid));
}

TEST(CgroupSubtree, HasWhatIsBelowItAndNothingElse) {
  const CgroupSubtree all("/proc");  // The root of its mount, but not that of cgroup2.
  EXPECT_TRUE(all.Contains("/"));
  EXPECT_TRUE(all.Contains("/kubepods/a"));
  EXPECT_FALSE(all.Contains("/../outside"));
  EXPECT_FALSE(all.Contains(""));
  const CgroupSubtree part("/proc/sys/net");
  EXPECT_TRUE(part.Contains("/sys/net"));
  EXPECT_TRUE(part.Contains("/sys/net/x"));
  EXPECT_FALSE(part.Contains("/sys/network"));
}

}  // namespace
}  // namespace heddle::agent
