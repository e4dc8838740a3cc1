#pragma once

#include <coroutine>

#include "lib/base/executor.h"
#include "lib/base/stop.h"

namespace heddle {

// Waiters of one condition, like a condition variable of one loop: wait in a loop that checks the condition.
//     while (queue.empty()) if (!co_await changed_.Wait(stop)) co_return Stopped();
// Nobody may be waiting when it is destroyed.
class WaitQueue {
 public:
  explicit WaitQueue(Executor& executor) : executor_(executor) {}

  class Awaiter final : private StopCallback, public Runnable {
   public:
    Awaiter(WaitQueue& queue, StopToken stop) : queue_(queue), stop_(stop) {}
    bool await_ready() const { return stop_.requested(); }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      queue_.waiters_.PushBack(*this);
      Subscribe(stop_);
    }
    // True when notified, false when stopped.
    bool await_resume() const { return notified_; }
    void Run() override { waiter_.resume(); }

   private:
    friend class WaitQueue;
    void OnStop(StopReason) noexcept override {
      Runnable::Unlink();
      queue_.executor_.Schedule(*this);
    }
    void Notify() {
      notified_ = true;
      StopCallback::Unlink();
      queue_.executor_.Schedule(*this);
    }
    WaitQueue& queue_;
    StopToken stop_;
    std::coroutine_handle<> waiter_;
    bool notified_ = false;
  };

  Awaiter Wait(StopToken stop) { return Awaiter(*this, stop); }
  void NotifyOne() {
    if (!waiters_.empty()) static_cast<Awaiter&>(waiters_.PopFront()).Notify();
  }
  void NotifyAll() {
    while (!waiters_.empty()) NotifyOne();
  }
  bool has_waiters() const { return !waiters_.empty(); }

 private:
  Executor& executor_;
  IntrusiveList<Runnable> waiters_;
};

// A flag that can be waited for. Once set it stays set until Reset().
class Event {
 public:
  explicit Event(Executor& executor) : waiters_(executor) {}
  bool set() const { return set_; }
  void Set() {
    set_ = true;
    waiters_.NotifyAll();
  }
  void Reset() { set_ = false; }

  // co_await Wait(stop): true once set, false when stopped before.
  auto Wait(StopToken stop) {
    struct Awaiter {
      Event& event;
      WaitQueue::Awaiter inner;
      bool await_ready() const { return event.set_ || inner.await_ready(); }
      void await_suspend(std::coroutine_handle<> waiter) { inner.await_suspend(waiter); }
      bool await_resume() const { return event.set_ || inner.await_resume(); }
    };
    return Awaiter{*this, waiters_.Wait(stop)};
  }

 private:
  WaitQueue waiters_;
  bool set_ = false;
};

}  // namespace heddle
