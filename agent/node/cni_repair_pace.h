#pragma once

#include <absl/time/time.h>

#include <algorithm>

#include "lib/base/clock.h"

namespace heddle::agent {

// How soon what another program undoes is done again: at once, then after waits that double, so that
// two programs which both insist do not keep a node busy. A quiet minute starts anew.
class CniRepairPace {
 public:
  static constexpr absl::Duration kFirstWait = absl::Seconds(1);
  // Pods that start meanwhile may be outside the mesh until they are captured in place.
  static constexpr absl::Duration kLongestWait = absl::Seconds(10);
  static constexpr absl::Duration kQuiet = absl::Minutes(1);
  // An update of another plugin writes once or twice; who comes back more often insists.
  static constexpr int kContestedRepairs = 3;

  bool MayRepair(MonotonicTime now) const { return now >= next_; }
  // When a repair may be made again.
  MonotonicTime next() const { return next_; }

  void Repaired(MonotonicTime now) {
    if (streak_ > 0 && now - last_ >= kQuiet) Reset();
    ++streak_;
    last_ = now;
    next_ = now + wait_;
    wait_ = wait_ == absl::ZeroDuration() ? kFirstWait : std::min(2 * wait_, kLongestWait);
  }
  // Another program works against us, at the last repair or now.
  bool Contested(MonotonicTime now) const {
    return streak_ >= kContestedRepairs && now - last_ < kQuiet;
  }

 private:
  void Reset() {
    streak_ = 0;
    wait_ = absl::ZeroDuration();
  }

  int streak_ = 0;
  absl::Duration wait_;
  MonotonicTime last_;
  MonotonicTime next_;
};

}  // namespace heddle::agent
