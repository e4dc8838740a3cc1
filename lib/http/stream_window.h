#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "lib/base/clock.h"

namespace heddle::http {

// How large the receive window of one stream should be: about what its reader drains in 100 ms, so
// that a flow is not limited by its window on any path shorter than that, and a slow reader holds
// little memory. Pure.
class StreamWindow {
 public:
  // A reader that drains half of its window within this time gets one twice as large.
  static constexpr absl::Duration kGrowInterval = absl::Milliseconds(50);

  StreamWindow(size_t initial, MonotonicTime now) : size_(static_cast<uint32_t>(initial)), period_began_(now) {}

  size_t size() const { return size_; }
  // The reader has taken n bytes. Returns the size that the window should have now, at most `max`; the caller calls
  // Resize if it follows.
  size_t OnConsumed(size_t n, MonotonicTime now, size_t max) {
    consumed_ += static_cast<uint32_t>(n);
    if (consumed_ < size_ / 2) return size_;
    const bool fast = now - period_began_ <= kGrowInterval;
    consumed_ = 0;
    period_began_ = now;
    return fast ? std::min(size_t{size_} * 2, max) : size_;
  }
  void Resize(size_t size) { size_ = static_cast<uint32_t>(size); }

 private:
  // There are many, and no window is larger than 2^31 - 1 (RFC 9113 section 6.9.1).
  uint32_t size_;
  uint32_t consumed_ = 0;  // Since period_began_.
  MonotonicTime period_began_;
};

}  // namespace heddle::http
