#include "agent/node/process_walk.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <fstream>
#include <vector>

namespace heddle::agent {
namespace {

// The directory's path below the mount of cgroup2 on which it lies: "" for the root itself, else
// "/a/b".
std::string PathBelowMount(const std::string& cgroup) {
  const auto device = [](const std::filesystem::path& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_dev : dev_t{0};
  };
  const std::filesystem::path directory(cgroup);
  std::filesystem::path mount = directory;
  while (mount.has_relative_path() && device(mount.parent_path()) == device(directory)) {
    mount = mount.parent_path();
  }
  return directory.string().substr(mount.string().size());
}

// Every cgroup but the root has a type.
bool IsRealRoot(const std::string& directory) {
  struct statfs info{};
  return ::statfs(directory.c_str(), &info) == 0 && info.f_type == CGROUP2_SUPER_MAGIC &&
         ::access(absl::StrCat(directory, "/cgroup.type").c_str(), F_OK) != 0;
}

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

Process::Process(int pid) : pid_(pid), directory_(absl::StrCat("/proc/", pid)) {}

std::string Process::NetnsPath() const { return absl::StrCat(directory_, "/ns/net"); }

ino_t Process::Netns() const {
  struct stat info{};
  return ::stat(NetnsPath().c_str(), &info) == 0 ? info.st_ino : 0;
}

std::string Process::Cgroup() const {
  std::ifstream file(absl::StrCat(directory_, "/cgroup"));
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "0::")) return line.substr(3);
  }
  return "";
}

std::string Process::Name() const { return FirstLine(absl::StrCat(directory_, "/comm")); }

// proc_pid_stat(5): field 22. The name, field 2, is in parentheses and may itself hold some.
uint64_t Process::Started() const {
  constexpr size_t kFieldsFromState = 22 - 3;
  const std::string line = FirstLine(absl::StrCat(directory_, "/stat"));
  const size_t name_end = line.rfind(") ");
  if (name_end == std::string::npos) return 0;
  const std::vector<std::string> fields = absl::StrSplit(line.substr(name_end + 2), ' ');
  uint64_t ticks = 0;
  if (fields.size() <= kFieldsFromState || !absl::SimpleAtoi(fields[kFieldsFromState], &ticks))
    return 0;
  return ticks;
}

CgroupSubtree::CgroupSubtree(const std::string& directory)
    : real_root_(IsRealRoot(directory)), root_(PathBelowMount(directory)) {}

bool CgroupSubtree::Contains(const std::string& path) const {
  if (path.empty()) return false;
  if (real_root_) return true;
  if (absl::StartsWith(path, "/..")) return false;
  return root_.empty() || path == root_ || absl::StartsWith(path, absl::StrCat(root_, "/"));
}

ProcessWalk::ProcessWalk() {
  std::error_code error;
  next_ = std::filesystem::directory_iterator("/proc", error);
}

int ProcessWalk::Next() {
  std::error_code error;
  // Not a range-for, whose increment throws.
  while (next_ != std::filesystem::directory_iterator()) {
    int pid = 0;
    const bool is_process = absl::SimpleAtoi(next_->path().filename().string(), &pid);
    next_.increment(error);
    if (is_process && pid != ::getpid()) return pid;
  }
  return 0;
}

}  // namespace heddle::agent
