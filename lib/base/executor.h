#pragma once

#include <absl/time/time.h>

#include <coroutine>
#include <vector>

#include "lib/base/clock.h"
#include "lib/base/intrusive_list.h"
#include "lib/base/stop.h"

namespace heddle {

// Something that runs on a later step of its executor. Owned by whoever waits.
class Runnable : public ListNode {
 public:
  virtual void Run() = 0;

 protected:
  ~Runnable() = default;
};

// Something that happens at a time. Owned by whoever waits; disarms itself when it is destroyed.
class Executor;
class Timer {
 public:
  Timer() = default;
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;
  bool armed() const { return executor_ != nullptr; }
  void Disarm();

 protected:
  ~Timer() { Disarm(); }
  // Called on the executor's loop, not from inside other code, with the timer disarmed. May arm itself again.
  virtual void OnTimer() = 0;

 private:
  friend class Executor;
  Executor* executor_ = nullptr;
  size_t position_ = 0;
  MonotonicTime when_;
};

// The single-threaded heart of a loop: a queue of what is ready and a heap of timers. io::Loop adds kernel events to
// it; the simulation drives it by hand. All calls from its own thread.
class Executor {
 public:
  explicit Executor(Clock& clock) : clock_(clock) {}
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor();

  Clock& clock() { return clock_; }
  MonotonicTime Now() const { return clock_.Monotonic(); }

  // Runs `work` on a later step, first in, first out.
  void Schedule(Runnable& work) { ready_.PushBack(work); }
  void Arm(Timer& timer, MonotonicTime when);
  void Arm(Timer& timer, absl::Duration delay) { Arm(timer, Now() + delay); }

  // co_await Sleep(d, stop): true after d, false when stopped before.
  auto Sleep(absl::Duration duration, StopToken stop);
  // co_await Yield(): lets everything else that is ready run first.
  auto Yield();

  // One step: fires the timers that are due, then runs what was ready when the step began. Returns how many ran.
  size_t RunReady() {
    FireTimers(Now());
    return RunQueue();
  }
  bool idle() const { return ready_.empty(); }
  // When the next timer is due; Infinite() without one.
  MonotonicTime NextTimer() const {
    return heap_.empty() ? MonotonicTime::Infinite() : heap_.front()->when_;
  }

 protected:
  // The two halves of a step.
  void FireTimers(MonotonicTime now);
  size_t RunQueue();

 private:
  friend class Timer;
  void Remove(Timer& timer);
  void SiftUp(size_t position);
  void SiftDown(size_t position);
  void Place(Timer* timer, size_t position);

  Clock& clock_;
  IntrusiveList<Runnable> ready_;
  std::vector<Timer*> heap_;  // Binary heap by when_, ties in no order.
};

// A coroutine that is waiting: scheduling it resumes it.
class Resumption final : public Runnable {
 public:
  void Set(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  void Run() override { waiter_.resume(); }

 private:
  std::coroutine_handle<> waiter_;
};

class SleepAwaiter final : private Timer, private StopCallback {
 public:
  SleepAwaiter(Executor& executor, absl::Duration duration, StopToken stop)
      : executor_(executor), duration_(duration), stop_(stop) {}
  bool await_ready() const { return stop_.requested(); }
  void await_suspend(std::coroutine_handle<> waiter) {
    resumption_.Set(waiter);
    executor_.Arm(*this, duration_);
    Subscribe(stop_);
  }
  bool await_resume() const { return elapsed_; }

 private:
  void OnTimer() override {
    elapsed_ = true;
    StopCallback::Unlink();
    executor_.Schedule(resumption_);
  }
  void OnStop(StopReason) noexcept override {
    Disarm();
    executor_.Schedule(resumption_);
  }

  Executor& executor_;
  absl::Duration duration_;
  StopToken stop_;
  Resumption resumption_;
  bool elapsed_ = false;
};

inline auto Executor::Sleep(absl::Duration duration, StopToken stop) {
  return SleepAwaiter(*this, duration, stop);
}

class YieldAwaiter {
 public:
  explicit YieldAwaiter(Executor& executor) : executor_(executor) {}
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    resumption_.Set(waiter);
    executor_.Schedule(resumption_);
  }
  void await_resume() const {}

 private:
  Executor& executor_;
  Resumption resumption_;
};

inline auto Executor::Yield() { return YieldAwaiter(*this); }

// A stop token with a deadline: stops with kDeadline after `after`, or with its parent.
//     Deadline soon(executor, stop, absl::Seconds(5));
//     co_await stream.Read(size, soon.token());
class Deadline final : private Timer {
 public:
  Deadline(Executor& executor, StopToken parent, absl::Duration after) : source_(parent) {
    if (!source_.requested() && after != absl::InfiniteDuration()) executor.Arm(*this, after);
  }
  StopToken token() { return source_.token(); }
  bool expired() const { return source_.reason() == StopReason::kDeadline; }

 private:
  void OnTimer() override { source_.RequestStop(StopReason::kDeadline); }
  LinkedStopSource source_;
};

}  // namespace heddle
