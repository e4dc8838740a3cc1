#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

#include "agent/node/bpf_maps.h"
#include "agent/node/bpf_settings.h"

namespace heddle::agent {

// Where a process sits in the cgroup2 hierarchy, as the BPF hooks see it.
struct CgroupPlace {
  uint64_t id = 0;          // Of the process's own cgroup.
  uint64_t root_id = 0;     // Of the --cgroup that was asked about.
  uint32_t root_level = 0;  // Its depth below the real root of cgroup2.
};

// The calling thread's place, asked of a BPF program: /proc/self/cgroup shows paths relative to a
// cgroup namespace. Fails if the caller is not inside `cgroup_root`.
absl::StatusOr<CgroupPlace> LocateOwnCgroup(const std::string& cgroup_root);

// Moves the whole process into a new leaf `<cgroup_root>/<prefix>.<pid>`, so that its cgroup id
// names this process and no other, and returns its place there. Removes leaves that dead processes
// left. After a failure the process may be in the leaf already: it is to end, not to go on.
absl::StatusOr<CgroupPlace> JoinLeafCgroup(const std::string& cgroup_root, std::string_view prefix);

// Moves this process from its leaf to `cgroup_root` and removes the leaf: for one that ends and will not
// come back. What cannot be done is left.
void LeaveLeafCgroup(const std::string& cgroup_root, std::string_view prefix);

// The rule for probes by a cgroup below `cgroup_root`: "kubepods", or where there is none the slice of that
// name ("kubepods.slice"), which systemd makes of it. If neither exists the id is 0: then nothing is a
// probe. Ask again until one exists.
absl::StatusOr<ProbeRule> MakeProbeRule(hd_probe_mode mode, const std::string& cgroup_root,
                                        const CgroupPlace& place, const std::string& relative_path);

// hd_proxies: which processes are agents.
class ProxyRegistry {
 public:
  // `maps` is kept longer than this.
  explicit ProxyRegistry(const BpfMaps& maps) : maps_(maps) {}

  // Enters this process with its cgroup and erases the entries of processes that are gone.
  absl::Status RegisterSelf(uint64_t cgroup_id, std::string_view instance_name) const;
  void Unregister(uint64_t cgroup_id) const;

 private:
  const BpfMaps& maps_;
};

}  // namespace heddle::agent
