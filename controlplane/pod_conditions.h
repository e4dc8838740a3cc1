#pragma once

#include <absl/container/flat_hash_map.h>

#include <optional>
#include <string>

#include "controlplane/status/condition.h"
#include "controlplane/status/verdicts.h"
#include "lib/base/clock.h"

namespace heddle::controlplane {

// How long a pod that has an address may be unreported: its agent has captured it before its address
// was known to anybody, and says so within a second; one that enters the mesh while it runs takes
// its agent some seconds.
inline constexpr absl::Duration kReportPatience = absl::Seconds(15);

// The condition heddle.io/captured of pods, from what nodes report of the kernel:
//
//   reported captured    what is missing    condition
//   yes                  nothing            True, Captured
//   yes                  something          False, Incomplete: the agent's sentence
//   no                   a reason           False, NotCaptured: the agent's sentence
//   no                   -                  none for kReportPatience, then False, NotReported
//
// Pure; one thread's.
class PodConditions {
 public:
  // `problem` is null when the node says of none. Nothing: it is too early to say.
  std::optional<status::Condition> Of(const status::PodVerdict& pod, const std::string* problem,
                                      MonotonicTime now);
  // Call before a round of Of(), and after it: who was not asked for is forgotten.
  void Begin() { ++round_; }
  void End();
  // Some pod's patience is not over.
  bool waiting() const { return waiting_ == round_; }

 private:
  struct Unreported {
    MonotonicTime since;
    uint64_t round = 0;
  };
  absl::flat_hash_map<std::string, Unreported> unreported_;  // By uid.
  uint64_t round_ = 0;
  uint64_t waiting_ = 0;  // The last round in which there was one.
};

}  // namespace heddle::controlplane
