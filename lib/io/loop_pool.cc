#include "lib/io/loop_pool.h"

#include <absl/strings/str_cat.h>
#include <pthread.h>

#include <latch>
#include <thread>
#include <utility>

#include "lib/base/heap_grow.h"
#include "lib/base/wait_queue.h"

namespace heddle::io {
namespace {

// Some hundreds of connections: each would have six system calls for it.
constexpr size_t kHeapBytes = size_t{16} << 20;

}  // namespace

struct LoopPool::Worker {
  std::latch running{1};
  std::latch released{1};  // Nobody calls into the loop any more: it may go.
  Loop* loop = nullptr;
  std::thread thread;

  void Main(Clock& clock, const LoopOptions& options) {
    GrowHeap(kHeapBytes);
    Loop own(clock, options);
    loop = &own;
    running.count_down();
    own.Run();
    released.wait();
  }
};

LoopPool::LoopPool(Clock& clock, size_t size, const std::string& name, const LoopOptions& options) {
  for (size_t i = 0; i < size; ++i) {
    auto worker = std::make_unique<Worker>();
    worker->thread = std::thread([&clock, options, worker = worker.get()] { worker->Main(clock, options); });
    // The kernel keeps 15 characters.
    const std::string thread_name = absl::StrCat(name, "-", i).substr(0, 15);
    ::pthread_setname_np(worker->thread.native_handle(), thread_name.c_str());
    workers_.push_back(std::move(worker));
  }
  for (const auto& worker : workers_) worker->running.wait();
}

LoopPool::~LoopPool() {
  for (const auto& worker : workers_) {
    worker->loop->Exit();
    worker->released.count_down();
  }
  for (const auto& worker : workers_) worker->thread.join();
}

Loop& LoopPool::loop(size_t index) { return *workers_.at(index)->loop; }

namespace {

// A coroutine that starts at once on the target loop and frees its own frame there. Its owner is RunOn, which
// waits for it.
struct Errand {
  struct promise_type {
    static void* operator new(size_t size) { return AllocateFrame(size); }
    static void operator delete(void* frame, size_t size) noexcept { FreeFrame(frame, size); }
    Errand get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { internal::CheckFailed("no exception leaves a coroutine"); }
  };
};

Errand RunErrand(absl::AnyInvocable<Task<void>()> task_factory, Loop& home, Event& done) {
  {
    absl::AnyInvocable<Task<void>()> factory = std::move(task_factory);
    Task<void> task = factory();
    co_await std::move(task);
  }  // All that the task and its factory held is gone before the caller goes on.
  home.Post([&done] { done.Set(); });
}

}  // namespace

Task<void> RunOn(Loop& home, Loop& target, absl::AnyInvocable<Task<void>()> task_factory) {
  Event done(home);
  target.Post([&home, &done, factory = std::move(task_factory)]() mutable {
    RunErrand(std::move(factory), home, done);
  });
  co_await done.Wait({});
}

}  // namespace heddle::io
