#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::agent {

// A program that the kernel has attached, whoever holds it.
struct AttachedProgram {
  enum class Place : uint8_t { kCgroup, kNetns };
  std::string name;
  Place place = Place::kCgroup;
  uint64_t where = 0;  // The cgroup's id, or the inode of the netns.
};

// All links of the machine to cgroups and network namespaces whose programs' names begin with
// `prefix`. Not those of what is gone, which link nothing. Needs CAP_SYS_ADMIN.
absl::StatusOr<std::vector<AttachedProgram>> ListAttachedPrograms(std::string_view prefix);

}  // namespace heddle::agent
