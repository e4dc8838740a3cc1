#pragma once

#include <absl/time/time.h>

#include <algorithm>

#include "lib/base/random.h"

namespace heddle {

// Waits that double up to a maximum, each drawn between half and the whole of it, so that many
// clients which failed together do not come back together.
class Backoff {
 public:
  Backoff(absl::Duration min, absl::Duration max) : min_(min), max_(max), next_(min) {}

  absl::Duration Next(Random& random) {
    const absl::Duration wait = Jitter(next_, random);
    next_ = std::min(next_ * 2, max_);
    return wait;
  }
  // Something worked.
  void Reset() { next_ = min_; }

  // Between half of `wait` and all of it.
  static absl::Duration Jitter(absl::Duration wait, Random& random) {
    constexpr uint64_t kSteps = 1024;
    return wait / 2 + wait * static_cast<double>(random.Below(kSteps)) / (2 * kSteps);
  }

 private:
  const absl::Duration min_;
  const absl::Duration max_;
  absl::Duration next_;
};

}  // namespace heddle
