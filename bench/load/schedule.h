#pragma once

#include <cstdint>

#include "lib/base/clock.h"

namespace heddle::bench {

// When an open loop means to send: at a fixed rate, the flows taking turns, whatever the answers do. Latency is counted
// from these times and not from when a late request was really sent, so that a stall is seen by every request that it
// made late ("coordinated omission" is what else happens).
class Schedule {
 public:
  // `rate` in requests per second of all `flows` together; both greater than zero.
  Schedule(MonotonicTime start, double rate, uint64_t flows)
      : start_(start), rate_(rate), flows_(flows) {}

  // The time of the request with this number, from 0, of one flow.
  MonotonicTime At(uint64_t flow, uint64_t number) const {
    const double turn =
        static_cast<double>(number) * static_cast<double>(flows_) + static_cast<double>(flow);
    return start_ + absl::Nanoseconds(static_cast<int64_t>(turn * 1e9 / rate_));
  }

 private:
  MonotonicTime start_;
  double rate_;
  uint64_t flows_;
};

}  // namespace heddle::bench
