#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "agent/node/bpf_maps.h"
#include "agent/node/pin_directory.h"
#include "lib/base/unique_fd.h"

namespace heddle::agent {

// hd_sk_lookup in the captured netns: one program and one pinned link for each, with the netns
// cookie in the program's variable. Plain synchronous calls for the control loop: to load a program takes
// a few milliseconds, nearly all of it in libbpf and the verifier, so one is loaded ahead. `maps` and
// `pins` are kept longer than this. The links stay when this object goes.
class PodLookupLinks {
 public:
  PodLookupLinks(const BpfMaps& maps, const PinDirectory& pins) : maps_(maps), pins_(pins) {}

  // From here on the pod's inbound connections are decided: write its record first. A pinned link
  // that is attached to this netns gets a program of this binary in one step; a dead one is
  // replaced.
  absl::Status Attach(uint64_t netns_cookie, int netns_fd);
  // Loads the program of the next Attach(), unless there is one. For a moment when nobody waits; what
  // fails is told by that Attach().
  void Prepare();
  // True if the pinned link is attached to the netns with that inode number. A pin proves nothing:
  // it outlives its netns.
  bool IsAttached(uint64_t netns_cookie, uint64_t netns_ino) const;
  // True if there is a pinned link and the kernel says that its netns is gone.
  bool IsDead(uint64_t netns_cookie) const;
  // No error if there is none.
  absl::Status Detach(uint64_t netns_cookie) const;
  // Netns cookies with a pinned link, dead or alive.
  std::vector<uint64_t> List() const { return pins_.NetnsLinks(); }

 private:
  struct Program {
    UniqueFd program;
    UniqueFd variables;
  };
  absl::StatusOr<Program> Load() const;
  absl::StatusOr<UniqueFd> ProgramOf(uint64_t netns_cookie);

  const BpfMaps& maps_;
  const PinDirectory& pins_;
  std::optional<Program> spare_;
};

}  // namespace heddle::agent
