#pragma once

#include <atomic>
#include <cstddef>

#include "lib/base/check.h"

namespace heddle::http {

// How many bytes of flow control windows may be promised to peers: a promise is memory that they
// can make us hold. Budgets nest (connection in identity in process): bytes are taken from a budget
// and all its parents, or from none. Thread-safe. A parent outlives its children, a budget outlives
// the sessions that use it.
class WindowBudget {
 public:
  explicit WindowBudget(size_t limit_bytes, WindowBudget* parent = nullptr)
      : limit_(limit_bytes), parent_(parent) {}
  ~WindowBudget() { CHECK(used() == 0); }
  WindowBudget(const WindowBudget&) = delete;
  WindowBudget& operator=(const WindowBudget&) = delete;

  bool TryTake(size_t bytes) {
    if (used_.fetch_add(bytes, std::memory_order_relaxed) + bytes > limit_ ||
        (parent_ != nullptr && !parent_->TryTake(bytes))) {
      used_.fetch_sub(bytes, std::memory_order_relaxed);
      refused_total_.fetch_add(1, std::memory_order_relaxed);
      return false;
    }
    return true;
  }
  void Return(size_t bytes) {
    used_.fetch_sub(bytes, std::memory_order_relaxed);
    if (parent_ != nullptr) parent_->Return(bytes);
  }
  size_t limit() const { return limit_; }
  size_t used() const { return used_.load(std::memory_order_relaxed); }
  uint64_t refused_total() const { return refused_total_.load(std::memory_order_relaxed); }

 private:
  const size_t limit_;
  WindowBudget* const parent_;
  std::atomic<size_t> used_ = 0;
  std::atomic<uint64_t> refused_total_ = 0;
};

}  // namespace heddle::http
