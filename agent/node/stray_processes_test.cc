#include "agent/node/stray_processes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

namespace heddle::agent {
namespace {

// A child in this process's netns and cgroup, ended with the object.
class Child {
 public:
  Child() : pid_(::fork()) {
    if (pid_ == 0) {
      ::pause();
      ::_exit(0);
    }
  }
  ~Child() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  int pid() const { return pid_; }

 private:
  const pid_t pid_;
};

ino_t OwnNetnsInode() {
  struct stat info{};
  EXPECT_EQ(::stat("/proc/self/ns/net", &info), 0);
  return info.st_ino;
}

std::vector<StrayProcess> Find(std::vector<ino_t> netns, const std::string& cgroup) {
  StraySearch search(std::move(netns), cgroup);
  while (search.Step(7)) {
  }
  return search.found();
}

testing::Matcher<StrayProcess> HasPid(int pid) { return testing::Field(&StrayProcess::pid, pid); }

TEST(StraySearch, NamesAProcessOutsideTheCgroup) {
  const Child child;
  // Any directory that is not the root of its mount will do: this process is not in it.
  const std::string directory = testing::TempDir() + "some-cgroup-" + std::to_string(::getpid());
  ASSERT_EQ(::mkdir(directory.c_str(), 0700), 0);
  const auto strays = Find({OwnNetnsInode()}, directory);
  EXPECT_THAT(strays, testing::Contains(HasPid(child.pid())));
  EXPECT_EQ(::rmdir(directory.c_str()), 0);
}

TEST(StraySearch, LooksAtTheNamedNamespacesOnly) {
  const Child child;
  EXPECT_THAT(Find({}, "/sys/fs/cgroup/x"), testing::IsEmpty());
  EXPECT_THAT(Find({1}, "/sys/fs/cgroup/x"), testing::Not(testing::Contains(HasPid(child.pid()))));
}

}  // namespace
}  // namespace heddle::agent
