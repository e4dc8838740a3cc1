#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "lib/base/check.h"

namespace heddle::http {

// How many bytes of HTTP/2 peers a process holds that its own readers have not taken yet. What a
// peer *may* send is not counted: an idle stream whose window has grown takes nothing of the budget.
// Windows promise more than that in sum, which is why they grow no more once half of it is taken,
// and why a stream whose bytes do not fit is reset. Thread-safe; outlives the sessions that use it.
class ReceiveBudget {
 public:
  explicit ReceiveBudget(size_t limit_bytes) : limit_(limit_bytes) {}
  ~ReceiveBudget() { CHECK(used() == 0); }
  ReceiveBudget(const ReceiveBudget&) = delete;
  ReceiveBudget& operator=(const ReceiveBudget&) = delete;

  // Bytes of a stream that holds no more than every stream may.
  bool TryTake(size_t bytes) { return TakeUpTo(limit_, bytes); }
  // Bytes of a stream that holds more: those leave the last quarter to the others.
  bool TryTakeMore(size_t bytes) { return TakeUpTo(limit_ - limit_ / 4, bytes); }
  void Return(size_t bytes) { used_.fetch_sub(bytes, std::memory_order_relaxed); }

  // Whether windows may grow.
  bool ample() const { return used() <= limit_ / 2; }
  // Whether there is nothing for another stream.
  bool exhausted() const { return used() >= limit_; }
  size_t limit() const { return limit_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t refused_total() const { return refused_total_.load(std::memory_order_relaxed); }

 private:
  bool TakeUpTo(size_t limit, size_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes <= limit) return true;
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    refused_total_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }

  const size_t limit_;
  std::atomic<size_t> used_ = 0;
  std::atomic<uint64_t> refused_total_ = 0;
};

}  // namespace heddle::http
