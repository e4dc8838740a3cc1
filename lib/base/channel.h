#pragma once

#include <deque>
#include <optional>
#include <utility>

#include "lib/base/task.h"
#include "lib/base/wait_queue.h"

namespace heddle {

// A bounded queue between coroutines of one loop. Order is kept; Close() lets the receiver drain what is queued.
template <typename T>
class Channel {
 public:
  Channel(Executor& executor, size_t capacity)
      : capacity_(capacity), not_full_(executor), not_empty_(executor) {}

  // False when the channel is full or closed; the value is then untouched.
  bool TrySend(T&& value) {
    if (closed_ || items_.size() >= capacity_) return false;
    items_.push_back(std::move(value));
    not_empty_.NotifyOne();
    return true;
  }
  // Waits for room. False when closed or stopped.
  Task<bool> Send(T value, StopToken stop) {
    while (!closed_ && items_.size() >= capacity_) {
      if (!co_await not_full_.Wait(stop)) co_return false;
    }
    co_return TrySend(std::move(value));
  }
  std::optional<T> TryReceive() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front()));
    items_.pop_front();
    not_full_.NotifyOne();
    return item;
  }
  // Waits for an item. Empty when the channel is closed and drained, or when stopped.
  Task<std::optional<T>> Receive(StopToken stop) {
    while (items_.empty() && !closed_) {
      if (!co_await not_empty_.Wait(stop)) co_return std::nullopt;
    }
    co_return TryReceive();
  }
  void Close() {
    closed_ = true;
    not_full_.NotifyAll();
    not_empty_.NotifyAll();
  }
  bool closed() const { return closed_; }
  size_t size() const { return items_.size(); }

 private:
  size_t capacity_;
  std::deque<T> items_;
  bool closed_ = false;
  WaitQueue not_full_;
  WaitQueue not_empty_;
};

}  // namespace heddle
