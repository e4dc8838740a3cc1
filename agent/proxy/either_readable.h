#pragma once

#include <coroutine>

#include "lib/base/executor.h"
#include "lib/base/stop.h"
#include "lib/io/stream.h"

namespace heddle::agent {

// co_await EitherReadable(executor, first, second, stop): until one of two streams has something to read, or `stop` is
// requested. Nothing is under way on either afterwards. All that a parked relay has: no frame, no buffer.
class EitherReadable final : private io::ReadWatcher, private StopCallback {
 public:
  EitherReadable(Executor& executor, io::Stream& first, io::Stream& second, StopToken stop)
      : executor_(executor), first_(first), second_(second), stop_(stop) {}

  bool await_ready() const { return stop_.requested(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    resumption_.Set(waiter);
    Subscribe(stop_);
    first_.Watch(*this);
    second_.Watch(*this);
    // The first was readable before the second was watched.
    if (to_tell_ == 1) EndWatches();
  }
  void await_resume() const {}

 private:
  void OnReadable() override {
    StopCallback::Unlink();
    if (--to_tell_ == 1) return EndWatches();
    executor_.Schedule(resumption_);
  }
  void OnStop(StopReason) noexcept override { EndWatches(); }
  void EndWatches() {
    first_.Unwatch();
    second_.Unwatch();
  }

  Executor& executor_;
  io::Stream& first_;
  io::Stream& second_;
  const StopToken stop_;
  Resumption resumption_;
  int to_tell_ = 2;  // Streams that have not told yet.
};

}  // namespace heddle::agent
