#pragma once

#include <algorithm>
#include <cstdint>

#include "lib/base/clock.h"

namespace heddle::http {

struct RateLimit {
  uint32_t burst = 0;       // How many at once.
  uint32_t per_second = 0;  // How many come back per second.
};

// A token bucket: what a peer may do per time. Pure; time is the caller's.
class RateBudget {
 public:
  RateBudget(RateLimit limit, MonotonicTime now)
      : limit_(limit), tokens_(limit.burst), refilled_(now) {}

  // Takes one token; false when there is none.
  bool Take(MonotonicTime now) {
    if (tokens_ < 1) Refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  // Gives tokens back, never above the burst.
  void Earn(double tokens) { tokens_ = std::min<double>(tokens_ + tokens, limit_.burst); }

 private:
  void Refill(MonotonicTime now) {
    Earn(absl::ToDoubleSeconds(now - refilled_) * limit_.per_second);
    refilled_ = now;
  }

  RateLimit limit_;
  double tokens_;
  MonotonicTime refilled_;
};

}  // namespace heddle::http
