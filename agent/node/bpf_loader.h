#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "agent/node/bpf_maps.h"
#include "agent/node/bpf_settings.h"
#include "agent/node/pin_directory.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

struct BpfLoaderOptions {
  std::string cgroup =
      "/sys/fs/cgroup";  // Where the hooks attach: on cgroup2, and every pod's cgroup below it.
  std::string pin_dir = "/sys/fs/bpf/heddle/v1";
  // Sizes for maps that are made anew; 0 keeps those of bpf/maps.h.
  uint32_t origdst_entries_max = 0;
  uint32_t bypass_entries_max = 0;
};

// The node's BPF programs and maps. Load() makes or adopts everything under the pin directory and
// attaches the programs to the cgroup; from then on they work by themselves, also after this object
// and its process are gone: new connections of captured pods then meet their pod's fail mode. Plain
// synchronous calls for one thread, the control loop's; a call takes milliseconds at most, Load()
// some tens.
class BpfLoader {
 public:
  // Adopts pins of the same schema version: maps keep their entries, links get the new programs in
  // one step each, so that connections meet either the old or the new ones. Other versions, here or in
  // a directory beside it (v1, v2, ...), and foreign layouts are refused: nothing is touched then, and
  // what is attached goes on as it does without an agent. Whatever fails is undone in reverse, as far
  // as this call made it.
  static absl::StatusOr<std::unique_ptr<BpfLoader>> Load(const BpfLoaderOptions& options);
  ~BpfLoader();

  const BpfMaps& maps() const { return maps_; }
  BpfSettings& settings() { return settings_; }
  const PinDirectory& pins() const { return pins_; }

  // Compares every link with what it should be: attached to our cgroup, pinned. A pin proves
  // nothing: it outlives its cgroup. Attaches again what is not there and names it: each name is a
  // gap in the capture that somebody should hear of.
  absl::StatusOr<std::vector<std::string>> Repair();

  // Detaches every program and removes every pin; asks the kernel whether they are off. What this
  // object still holds goes with it, and Repair() would bring all of it back. May be called again.
  absl::Status Release();

  // Removes everything under a pin directory, attached or not. For `heddlectl purge` and tests.
  static absl::Status Purge(const std::string& pin_dir) { return PinDirectory(pin_dir).Purge(); }

 private:
  struct Link {
    const char* program;
    UniqueFd fd;
  };
  BpfLoader(PinDirectory pins, UniqueFd cgroup, BpfObject object, BpfMaps maps,
            BpfSettings settings);
  absl::Status Attach(Link& link);
  absl::StatusOr<UniqueFd> AttachAnew(const char* program) const;
  bool IsAttached(const Link& link) const;
  absl::Status AttachAll();

  const PinDirectory pins_;
  const UniqueFd cgroup_;
  uint64_t cgroup_id_ = 0;
  const BpfObject object_;
  const BpfMaps maps_;
  BpfSettings settings_;
  std::vector<Link> links_;
};

}  // namespace heddle::agent
