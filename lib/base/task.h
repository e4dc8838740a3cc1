#pragma once

#include <coroutine>
#include <optional>
#include <type_traits>
#include <utility>

#include "lib/base/check.h"
#include "lib/base/frame_allocator.h"

// Before the declaration of a task that ends long before its caller does: without it the compiler may make its frame a
// part of the caller's, which saves an allocation and keeps the bytes until the caller has ended.
#define FRAME_OF_ITS_OWN [[gnu::noinline]]

namespace heddle {

template <typename T = void>
class Task;
class Scope;

namespace internal {

// What every promise shares: lazy start, symmetric transfer to the waiter at the end, frames from the free lists.
class PromiseBase {
 public:
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      return self.promise().continuation_;
    }
    void await_resume() noexcept {}
  };

  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* frame, size_t size) noexcept { FreeFrame(frame, size); }

  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  // We throw nothing; what a library throws is caught in the file that calls it.
  [[noreturn]] void unhandled_exception() noexcept {
    CheckFailed("no exception leaves a coroutine");
  }

  void set_continuation(std::coroutine_handle<> waiter) { continuation_ = waiter; }

 private:
  std::coroutine_handle<> continuation_ = std::noop_coroutine();
};

template <typename T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    value_.emplace(std::forward<U>(value));
  }
  T TakeValue() {
    CHECK(value_.has_value());
    return *std::move(value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void TakeValue() {}
};

}  // namespace internal

// A lazy coroutine with one owner. It starts when awaited and resumes its waiter by symmetric transfer when it ends.
//
// Lifetime: a Task that has started must run to its end before it is destroyed: an operation in flight points into its
// frame (docs/hazards/io-lifetimes.md). Ask it to stop through its StopToken and await it; Scope does so for tasks that
// nobody awaits. Destroying a Task that never started is allowed.
// Threads: starts, runs and ends on one loop.
// Parameters are values, or references to what the task's owner keeps alive until it has ended.
template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = internal::Promise<T>;

  Task(Task&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)),
        started_(std::exchange(other.started_, false)) {}
  Task& operator=(Task&& other) noexcept {
    if (this != &other) {
      Reset();
      handle_ = std::exchange(other.handle_, nullptr);
      started_ = std::exchange(other.started_, false);
    }
    return *this;
  }
  Task(const Task&) = delete;
  Task& operator=(const Task&) = delete;
  ~Task() { Reset(); }

  auto operator co_await() && noexcept {
    struct Awaiter {
      std::coroutine_handle<promise_type> task;
      bool await_ready() noexcept { return false; }
      std::coroutine_handle<> await_suspend(std::coroutine_handle<> waiter) noexcept {
        task.promise().set_continuation(waiter);
        return task;
      }
      T await_resume() { return task.promise().TakeValue(); }
    };
    CHECK(handle_ && !started_);
    started_ = true;
    return Awaiter{handle_};
  }

 private:
  friend promise_type;
  friend class Scope;
  explicit Task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}

  void Reset() {
    if (!handle_)
      return;  // Not "== nullptr": libstdc++ 12 then tries to compare with an expected<T> and fails to compile.
    CHECK(!started_ || handle_.done());
    std::exchange(handle_, nullptr).destroy();
    started_ = false;
  }

  // Where its frame is: for what runs it and wants to lie beside it.
  const void* frame() const { return handle_.address(); }

  std::coroutine_handle<promise_type> handle_;
  bool started_ = false;
};

namespace internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace internal
}  // namespace heddle
