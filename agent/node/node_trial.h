#pragma once

#include <absl/status/status.h>

#include <string>

// Whether this machine can do what the agent will ask of it, found out by doing just that where
// nobody notices: in a child process, with a network namespace, a cgroup and a pin directory of its
// own, all of which are gone afterwards. Needs the agent's rights, and a process with one thread.
// The statuses carry what the kernel or the verifier said.
namespace heddle::agent {

// Loads all programs, makes and pins all maps, attaches to a cgroup below `cgroup` that no process
// is in, and to a network namespace. `bpf_fs` must be a BPF file system already.
absl::Status TryBpfPrograms(const std::string& cgroup, const std::string& bpf_fs);

// Moves a process into a new leaf of `cgroup`, as an agent does with itself when it starts.
absl::Status TryLeafCgroup(const std::string& cgroup);

// Writes the settings that a captured pod gets, listens on our ports, and adds rule and route for
// connections to applications.
absl::Status TryPodNetwork();

}  // namespace heddle::agent
