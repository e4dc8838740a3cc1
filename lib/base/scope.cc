#include "lib/base/scope.h"

#include <coroutine>
#include <utility>

namespace heddle {

// A coroutine that starts at once and frees its own frame at the end: the bridge from "nobody awaits" to Task.
struct Scope::Runner {
  struct promise_type {
    static void* operator new(size_t size, Scope&, const Task<void>& task) {
      return AllocateFrameFor(task.frame(), size);
    }
    static void operator delete(void* frame, size_t size) noexcept { FreeFrame(frame, size); }
    Runner get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept {
      internal::CheckFailed("no exception leaves a coroutine");
    }
  };
};

Scope::Runner Scope::RunToEnd(Scope& scope, Task<void> task) {
  {
    Task<void> running = std::move(task);
    co_await std::move(running);
  }  // The task's frame, and with it all that it owned, is gone before the scope counts it as ended.
  if (--scope.live_ == 0) scope.ended_.NotifyAll();
}

void Scope::Spawn(Task<void> task) {
  ++live_;
  RunToEnd(*this, std::move(task));
}

Task<void> Scope::Join() {
  while (live_ != 0) co_await ended_.Wait({});
}

Task<void> Scope::Drain(absl::Duration grace) {
  if (grace > absl::ZeroDuration() && !stop_.requested()) {
    Deadline patience(executor_, stop_.token(), grace);
    while (live_ != 0) {
      if (!co_await ended_.Wait(patience.token())) break;
    }
  }
  RequestStop();
  co_await Join();
}

}  // namespace heddle
