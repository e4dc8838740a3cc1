#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <optional>
#include <string>

#include "controlplane/ca/certificate_authority.h"

// How a root follows another without a connection that fails. Pure: what is stored, and the time,
// say everything, so all controllers come to the same conclusion.
//
//   phase          from            signs     is trusted
//   none                           current   current
//   distributing   began           current   current, next
//   switched       began + step    next      next, current
//   over           began + 2 step  next      next           then next becomes current
//
// Leaves carry the bundle of their time and end within a step of it (LeavesEnd). So when the next root
// begins to sign, every leaf that is still valid came with a bundle that has it; and when the
// current one is trusted no longer, no leaf of it is valid.
namespace heddle::controlplane::ca {

// Added to the longest life of a leaf: for clocks, and for what a controller learns late.
inline constexpr absl::Duration kRotationMargin = absl::Hours(1);
inline constexpr absl::Duration kRotationStep = absl::Hours(25);  // kLeafLifetimeMax and the margin.

// What controllers share.
struct StoredRoots {
  std::string certificate_pem;  // Certificates behind the first are trusted as well.
  std::string key_pem;
  // The root that follows: ours, or one that somebody put there before asking for a rotation.
  std::string next_certificate_pem;
  std::string next_key_pem;
  // A rotation is under way.
  std::optional<absl::Time> rotation_began;
  absl::Duration rotation_step;
  bool rotation_asked = false;

  bool operator==(const StoredRoots&) const = default;
};

enum class RotationPhase : uint8_t { kNone, kDistributing, kSwitched, kOver };
const char* ToString(RotationPhase phase);

RotationPhase PhaseAt(const StoredRoots& stored, absl::Time now);

// A new root and nothing else.
absl::StatusOr<StoredRoots> MakeRoots(absl::Time now);

// What to sign with and what to trust at this time. An error names the part that is of no use.
absl::StatusOr<AuthorityKeys> KeysAt(const StoredRoots& stored, absl::Time now);

// What is to be stored in the place of `stored`, when something is: a rotation begins, is over, or is asked for
// while another one is under way, which is no more than forgotten.
absl::StatusOr<std::optional<StoredRoots>> Advance(const StoredRoots& stored, absl::Time now);

// The latest end of a leaf that is signed by who has heard last at this time what is stored. A
// rotation that began since is still distributing then.
inline absl::Time LeavesEnd(absl::Time heard) { return heard + kRotationStep; }

}  // namespace heddle::controlplane::ca
