#include "lib/base/clock.h"

#include <absl/time/clock.h>
#include <time.h>

namespace heddle {

MonotonicTime SystemClock::Monotonic() const {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return MonotonicTime::FromNanoseconds(now.tv_sec * 1'000'000'000LL + now.tv_nsec);
}

absl::Time SystemClock::Wall() const { return absl::Now(); }

}  // namespace heddle
