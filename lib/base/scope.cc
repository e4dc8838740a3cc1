#include "lib/base/scope.h"

#include <utility>

namespace heddle {

// A promise tells a scope from a coroutine by the lowest bit of its address.
static_assert(alignof(Scope) > 1);

namespace internal {

void EndInScope(Scope& scope, std::coroutine_handle<> task) noexcept {
  task.destroy();
  scope.Leave();
}

}  // namespace internal

void Scope::Spawn(Task<void> task) {
  ++live_;
  std::move(task).StartIn(*this);
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
