#pragma once

#include <absl/status/status.h>

#include <string>
#include <vector>

namespace heddle::agent {

// The directory on a BPF file system in which maps and links outlive the agent:
//
//   <root>/maps/<map>           links/<program>           links/netns/<netns cookie>
class PinDirectory {
 public:
  explicit PinDirectory(std::string root) : root_(std::move(root)) {}

  // Makes the directories. Mounts a BPF file system when `root` is not on one: at /sys/fs/bpf for a
  // root below it, else at root.
  absl::Status Prepare() const;
  // Removes every pin and directory: programs are detached, maps freed, unless a process still
  // holds them. No error if there is nothing. Does not unmount.
  absl::Status Purge() const;

  // Directories beside it that are called like another version of it (v1, v2, ...) and hold links:
  // programs of another release are attached. None if it is not called so itself.
  std::vector<std::string> OtherVersions() const;

  // Takes the link at `path` off its hook at once, whoever still holds it, and removes the pin. (A
  // link whose last reference goes is taken off later, by a work queue.) No error if there is none.
  static absl::Status DetachLink(const std::string& path);

  std::string MapPath(const char* map) const { return root_ + "/maps/" + map; }
  std::string LinkPath(const char* program) const { return root_ + "/links/" + program; }
  std::string NetnsLinkPath(uint64_t netns_cookie) const;
  // Cookies that have a link.
  std::vector<uint64_t> NetnsLinks() const;
  const std::string& root() const { return root_; }

 private:
  std::string root_;
};

}  // namespace heddle::agent
