#include "agent/node/stray_processes.h"

#include <absl/strings/match.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

namespace heddle::agent {
namespace {

// The inode of the process's netns; 0 when it has gone meanwhile.
ino_t NetnsOf(const std::string& process) {
  struct stat info{};
  return ::stat(absl::StrCat(process, "/ns/net").c_str(), &info) == 0 ? info.st_ino : 0;
}

// The process's path in cgroup2 as this process sees it: the line "0::/path" (cgroups(7)).
std::string CgroupOf(const std::string& process) {
  std::ifstream file(absl::StrCat(process, "/cgroup"));
  for (std::string line; std::getline(file, line);) {
    if (absl::StartsWith(line, "0::")) return line.substr(3);
  }
  return "";
}

// The directory's path below the mount of cgroup2 on which it lies: "" for the root itself, else "/a/b".
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

// Paths that begin with "/.." are outside this process's cgroup namespace, and so outside of everything.
bool IsBelow(const std::string& root, const std::string& path) {
  if (absl::StartsWith(path, "/..")) return false;
  return root.empty() || path == root || absl::StartsWith(path, absl::StrCat(root, "/"));
}

std::string NameOf(const std::string& process) {
  std::ifstream file(absl::StrCat(process, "/comm"));
  std::string name;
  std::getline(file, name);
  return name;
}

}  // namespace

StraySearch::StraySearch(std::vector<ino_t> netns, const std::string& cgroup)
    : netns_(std::move(netns)), root_(PathBelowMount(cgroup)) {
  std::error_code error;
  if (!netns_.empty()) next_ = std::filesystem::directory_iterator("/proc", error);
}

bool StraySearch::Step(size_t processes) {
  std::error_code error;
  // Not a range-for, whose increment throws.
  for (; processes > 0 && next_ != std::filesystem::directory_iterator(); next_.increment(error)) {
    int pid = 0;
    if (!absl::SimpleAtoi(next_->path().filename().string(), &pid) || pid == ::getpid()) continue;
    LookAt(next_->path(), pid);
    --processes;
  }
  return next_ != std::filesystem::directory_iterator();
}

void StraySearch::LookAt(const std::string& process, int pid) {
  const ino_t inode = NetnsOf(process);
  if (inode == 0 || std::find(netns_.begin(), netns_.end(), inode) == netns_.end()) return;
  const std::string path = CgroupOf(process);
  // An empty path: the process ended while we looked, or it is a zombie.
  if (path.empty() || IsBelow(root_, path)) return;
  found_.push_back({.pid = pid, .name = NameOf(process), .netns = inode});
}

}  // namespace heddle::agent
