#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace heddle::agent {

// A BPF program of somebody else.
struct ForeignProgram {
  std::string hook;  // As bpftool calls it: "connect4".
  std::string name;  // As its owner called it, at most 15 bytes; may be empty.
  uint32_t id = 0;
  bool operator==(const ForeignProgram&) const = default;
};

// No hook has more; the kernel's own limit for one cgroup (BPF_CGROUP_MAX_PROGS).
inline constexpr uint32_t kMaxProgramsPerHook = 64;

// Asks the kernel which programs of others are attached to a cgroup at the hooks that ours use. Ours
// are told by their names, which all begin with "hd_".
absl::StatusOr<std::vector<ForeignProgram>> ForeignPrograms(const std::string& cgroup);

}  // namespace heddle::agent
