#include "lib/io/watchdog.h"

#include <execinfo.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <semaphore>
#include <thread>
#include <utility>

namespace heddle::io {
namespace {

constexpr int kFramesMax = 64;

// Runs on the stuck thread, whose stack is the one that matters.
void PrintStackAndAbort(int) {
  std::array<void*, kFramesMax> frames;
  const int count = ::backtrace(frames.data(), kFramesMax);
  ::backtrace_symbols_fd(frames.data(), count, STDERR_FILENO);
  std::abort();
}

void InstallHandler() {
  // The first call loads libgcc, which a signal handler must not do.
  void* frame = nullptr;
  ::backtrace(&frame, 1);
  struct sigaction action {};
  action.sa_handler = PrintStackAndAbort;
  CHECK(::sigaction(SIGRTMIN, &action, nullptr) == 0);
}

}  // namespace

bool IsStuck(const LoopStats& stats, MonotonicTime now, absl::Duration limit) {
  const int64_t started_ns = stats.turn_started_ns.load(std::memory_order_relaxed);
  return started_ns != 0 && now - MonotonicTime::FromNanoseconds(started_ns) > limit;
}

struct Watchdog::Thread {
  std::vector<Watched> loops;
  absl::Duration limit;
  std::binary_semaphore ended{0};
  std::thread thread;

  void Main(Clock& clock) {
    const auto interval = absl::ToChronoMilliseconds(std::min(absl::Seconds(1), limit / 2));
    while (!ended.try_acquire_for(interval)) {
      for (const Watched& watched : loops) {
        if (IsStuck(watched.loop->stats(), clock.Monotonic(), limit)) Abort(watched);
      }
    }
  }

  void Abort(const Watched& watched) {
    std::fprintf(stderr, "watchdog: loop %s is stuck in one turn, its stack:\n", watched.name.c_str());
    ::syscall(SYS_tgkill, ::getpid(), watched.loop->thread_id(), SIGRTMIN);
    // The handler aborts; a thread that sleeps in the kernel for good never runs it.
    if (!ended.try_acquire_for(std::chrono::seconds(1))) std::abort();
  }
};

Watchdog::Watchdog(Clock& clock, std::vector<Watched> loops, absl::Duration limit)
    : thread_(std::make_unique<Thread>()) {
  InstallHandler();
  thread_->loops = std::move(loops);
  thread_->limit = limit;
  thread_->thread = std::thread([&clock, thread = thread_.get()] { thread->Main(clock); });
  ::pthread_setname_np(thread_->thread.native_handle(), "watchdog");
}

Watchdog::~Watchdog() {
  thread_->ended.release();
  thread_->thread.join();
}

}  // namespace heddle::io
