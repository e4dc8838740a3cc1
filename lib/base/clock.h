#pragma once

#include <absl/time/time.h>

#include <compare>
#include <cstdint>

namespace heddle {

// A point on the monotonic clock. Only differences mean anything.
class MonotonicTime {
 public:
  constexpr MonotonicTime() = default;
  static constexpr MonotonicTime FromNanoseconds(int64_t ns) { return MonotonicTime(ns); }
  // Later than every time that a clock returns.
  static constexpr MonotonicTime Infinite() { return MonotonicTime(INT64_MAX); }

  constexpr int64_t nanoseconds() const { return ns_; }
  constexpr auto operator<=>(const MonotonicTime&) const = default;

  // Saturates at Infinite(), so that an infinite duration means "never".
  friend MonotonicTime operator+(MonotonicTime time, absl::Duration duration) {
    if (time == Infinite() || duration == absl::InfiniteDuration()) return Infinite();
    const int64_t ns = absl::ToInt64Nanoseconds(duration);
    return MonotonicTime(ns > INT64_MAX - time.ns_ ? INT64_MAX : time.ns_ + ns);
  }
  friend absl::Duration operator-(MonotonicTime a, MonotonicTime b) {
    return absl::Nanoseconds(a.ns_ - b.ns_);
  }

 private:
  constexpr explicit MonotonicTime(int64_t ns) : ns_(ns) {}
  int64_t ns_ = 0;
};

// Where time comes from: the kernel, or a test that moves it by hand. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual MonotonicTime Monotonic() const = 0;
  // Wall-clock time, for certificates and log lines.
  virtual absl::Time Wall() const = 0;
};

class SystemClock final : public Clock {
 public:
  MonotonicTime Monotonic() const override;
  absl::Time Wall() const override;
};

}  // namespace heddle
