#pragma once

#include <absl/time/time.h>

#include <algorithm>

#include "lib/base/clock.h"

namespace heddle::controlplane::status {

// So many acts a second on average, and so many at once after a rest. One thread's.
class RateLimit {
 public:
  RateLimit(double per_second, double burst)
      : per_second_(per_second), burst_(burst), left_(burst) {}

  // Takes one, or says how long to wait before asking again.
  absl::Duration Take(MonotonicTime now) {
    if (last_ != MonotonicTime())
      left_ = std::min(burst_, left_ + per_second_ * absl::ToDoubleSeconds(now - last_));
    last_ = now;
    // Rounding must not make anybody wait for a millionth of an act.
    if (left_ < 1 - 1e-6) return absl::Seconds((1 - left_) / per_second_);
    --left_;
    return absl::ZeroDuration();
  }

 private:
  const double per_second_;
  const double burst_;
  double left_;
  MonotonicTime last_;
};

}  // namespace heddle::controlplane::status
