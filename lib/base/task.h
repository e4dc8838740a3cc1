#pragma once

#include <coroutine>
#include <cstdint>
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

// Destroys a task that has come to its end and counts it as ended in the scope that owned it.
void EndInScope(Scope& scope, std::coroutine_handle<> task) noexcept;

// What every promise shares: lazy start, symmetric transfer to the waiter at the end, frames from the free lists. The
// task of a scope has no waiter: it is destroyed at its end, where nothing of its frame is used any more.
class PromiseBase {
 public:
  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
      const uintptr_t end = self.promise().end_;
      if ((end & kScope) == 0) return std::coroutine_handle<>::from_address(reinterpret_cast<void*>(end));
      EndInScope(*reinterpret_cast<Scope*>(end & ~kScope), self);
      return std::noop_coroutine();
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

  void set_waiter(std::coroutine_handle<> waiter) { end_ = AddressOf(waiter); }
  void set_scope(Scope& scope) { end_ = reinterpret_cast<uintptr_t>(&scope) | kScope; }

 private:
  static constexpr uintptr_t kScope = 1;
  static uintptr_t AddressOf(std::coroutine_handle<> waiter) {
    return reinterpret_cast<uintptr_t>(waiter.address());
  }

  // Who is told of the end: a coroutine's address, or a scope's with the lowest bit set.
  uintptr_t end_ = AddressOf(std::noop_coroutine());
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
        task.promise().set_waiter(waiter);
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

  // Starts it; from here on it is the scope's, which is told when it has ended.
  void StartIn(Scope& scope) {
    CHECK(handle_ && !started_);
    const auto handle = std::exchange(handle_, nullptr);
    handle.promise().set_scope(scope);
    handle.resume();
  }

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
