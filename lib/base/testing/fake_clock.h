#pragma once

#include "lib/base/clock.h"

namespace heddle {

// Time that moves only when a test says so. Starts at an arbitrary but fixed wall time. One thread only.
class FakeClock final : public Clock {
 public:
  MonotonicTime Monotonic() const override { return now_; }
  absl::Time Wall() const override { return wall_; }
  void Advance(absl::Duration duration) {
    now_ = now_ + duration;
    wall_ += duration;
  }
  // Moves only the wall clock, as an administrator would.
  void SetWall(absl::Time wall) { wall_ = wall; }

 private:
  MonotonicTime now_ = MonotonicTime::FromNanoseconds(1'000'000'000);
  absl::Time wall_ = absl::FromUnixSeconds(1'800'000'000);
};

}  // namespace heddle
