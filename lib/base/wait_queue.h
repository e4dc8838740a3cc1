#pragma once

#include <coroutine>

#include "lib/base/executor.h"
#include "lib/base/stop.h"

namespace heddle {

// A WaitQueue whose executor the waiters bring: for what there is very much of.
class WaitList {
 public:
  class Awaiter final : private StopCallback, public Runnable {
   public:
    Awaiter(WaitList& list, Executor& executor, StopToken stop)
        : list_(list), executor_(executor), stop_(stop) {}
    bool await_ready() const { return stop_.requested(); }
    void await_suspend(std::coroutine_handle<> waiter) {
      waiter_ = waiter;
      list_.waiters_.PushBack(*this);
      Subscribe(stop_);
    }
    // True when notified, false when stopped.
    bool await_resume() const { return notified_; }
    void Run() override { waiter_.resume(); }

   private:
    friend class WaitList;
    void OnStop(StopReason) noexcept override {
      Runnable::Unlink();
      executor_.Schedule(*this);
    }
    void Notify() {
      notified_ = true;
      StopCallback::Unlink();
      executor_.Schedule(*this);
    }
    WaitList& list_;
    Executor& executor_;
    StopToken stop_;
    std::coroutine_handle<> waiter_;
    bool notified_ = false;
  };

  Awaiter Wait(Executor& executor, StopToken stop) { return Awaiter(*this, executor, stop); }
  void NotifyOne() {
    if (!waiters_.empty()) static_cast<Awaiter&>(waiters_.PopFront()).Notify();
  }
  void NotifyAll() {
    while (!waiters_.empty()) NotifyOne();
  }
  bool has_waiters() const { return !waiters_.empty(); }

 private:
  IntrusiveList<Runnable> waiters_;
};

// Waiters of one condition, like a condition variable of one loop: wait in a loop that checks the condition.
//     while (queue.empty()) if (!co_await changed_.Wait(stop)) co_return Stopped();
// Nobody may be waiting when it is destroyed.
class WaitQueue {
 public:
  using Awaiter = WaitList::Awaiter;

  explicit WaitQueue(Executor& executor) : executor_(executor) {}

  Awaiter Wait(StopToken stop) { return list_.Wait(executor_, stop); }
  void NotifyOne() { list_.NotifyOne(); }
  void NotifyAll() { list_.NotifyAll(); }
  bool has_waiters() const { return list_.has_waiters(); }

 private:
  Executor& executor_;
  WaitList list_;
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
