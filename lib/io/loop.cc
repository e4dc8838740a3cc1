#include "lib/io/loop.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "lib/base/heap_trim.h"

namespace heddle::io {
namespace {

// Memory that was not needed for this long goes back to the kernel, at most a slice per turn: unmapping takes time.
constexpr absl::Duration kTrimInterval = absl::Seconds(1);
constexpr size_t kTrimBytesPerTurn = 16u << 20;
// So many bytes of frames that are needed no more tell of connections that have ended.
constexpr size_t kFrameBytesOfABurst = 64u << 10;
// What ends after them, tunnels for instance, leaves holes in the heap too.
constexpr int kHeapTrimsAfterABurst = 3;

// So many steps without a look at the kernel, and only while no more than so many coroutines have run: others wait.
constexpr int kStepsPerTurn = 6;
constexpr size_t kFew = 32;

std::unique_ptr<Reactor> MakeReactor(BufferPool& buffers, BackendChoice choice, std::string& fallback_reason) {
  if (choice == BackendChoice::kEpoll) return MakeEpollReactor(buffers);
  auto ring = MakeIoUringReactor(buffers, ReactorOptions{});
  if (ring) return *std::move(ring);
  fallback_reason = ring.error().ToString();
  // Who asked for io_uring by name wants to know at once that it is not there.
  CHECK(choice == BackendChoice::kAuto);
  return MakeEpollReactor(buffers);
}

// Ends the wait of the turn in which the task ended.
Task<void> RunThenWake(Task<void> task, Reactor& reactor) {
  co_await std::move(task);
  reactor.Wake();
}

}  // namespace

struct Loop::Message {
  absl::AnyInvocable<void()> run;
  Message* next = nullptr;
};

Loop::Loop(Clock& clock, const LoopOptions& options)
    : Executor(clock),
      thread_id_(::gettid()),
      buffers_(std::make_unique<BufferPool>(options.buffer_limit_bytes)),
      reactor_(MakeReactor(*buffers_, options.backend, fallback_reason_)) {}

Loop::Loop(Clock& clock, std::unique_ptr<BufferPool> buffers, std::unique_ptr<Reactor> reactor)
    : Executor(clock), thread_id_(::gettid()), buffers_(std::move(buffers)), reactor_(std::move(reactor)) {}

Loop::~Loop() {
  Message* message = inbox_.exchange(nullptr, std::memory_order_acquire);
  while (message != nullptr) delete std::exchange(message, message->next);
}

void Loop::Post(absl::AnyInvocable<void()> message) {
  auto* posted = new Message{std::move(message)};
  Message* newest = inbox_.load(std::memory_order_relaxed);
  do {
    posted->next = newest;
  } while (!inbox_.compare_exchange_weak(newest, posted, std::memory_order_release, std::memory_order_relaxed));
  // Whoever found the inbox empty wakes the loop, which then takes all that has come by then.
  if (newest == nullptr) reactor_->Wake();
}

bool Loop::RunMessages() {
  Message* newest = inbox_.exchange(nullptr, std::memory_order_acquire);
  Message* oldest = nullptr;
  while (newest != nullptr) {
    Message* next = std::exchange(newest->next, oldest);
    oldest = std::exchange(newest, next);
  }
  const bool any = oldest != nullptr;
  while (oldest != nullptr) {
    std::unique_ptr<Message> message(std::exchange(oldest, oldest->next));
    message->run();
  }
  return any;
}

void Loop::BeginTurn(MonotonicTime now) {
  turn_started_ = now;
  stats_.turn_started_ns.store(now.nanoseconds(), std::memory_order_relaxed);
}

void Loop::EndTurn(MonotonicTime now) {
  const int64_t took_ns = now.nanoseconds() - turn_started_.nanoseconds();
  if (took_ns > stats_.lag_max_ns.load(std::memory_order_relaxed)) {
    stats_.lag_max_ns.store(took_ns, std::memory_order_relaxed);
  }
  if (took_ns > absl::ToInt64Nanoseconds(kTurnMax)) stats_.slow_turns_total.fetch_add(1, std::memory_order_relaxed);
  stats_.turns_total.fetch_add(1, std::memory_order_relaxed);
  stats_.turn_started_ns.store(0, std::memory_order_relaxed);
}

MonotonicTime Loop::TrimWhenDue(MonotonicTime now) {
  if (trim_at_ <= now) {
    // Once in an interval: it asks what was needed in that.
    if (!std::exchange(trimming_, true)) reactor_->Trim();
    const bool more = buffers_->Trim(kTrimBytesPerTurn) >= kTrimBytesPerTurn;
    // What malloc has of a burst stays with the process otherwise, in holes between what is in use.
    if (!more && TrimFrames() >= kFrameBytesOfABurst) heap_trims_due_ = kHeapTrimsAfterABurst;
    if (!more && heap_trims_due_ > 0) {
      --heap_trims_due_;
      TrimHeap();
    }
    trimming_ = more;
    trim_at_ = more ? now : MonotonicTime::Infinite();
  }
  const bool kept = buffers_->stats().mapped_bytes > 0 || ThreadFrameStats().free_bytes > 0;
  if (trim_at_ == MonotonicTime::Infinite() && kept) trim_at_ = now + kTrimInterval;
  return trim_at_;
}

// A message goes through several coroutines, each of which makes the next one ready: while little is ready they run one
// after the other, and what they ask of the kernel leaves with one system call.
bool Loop::RunSteps() {
  size_t ran = RunQueue();
  for (int step = 1; step < kStepsPerTurn && !idle() && ran <= kFew; ++step) ran += RunQueue();
  return ran > 0;
}

bool Loop::Turn(MonotonicTime until) {
  BeginTurn(Now());
  bool ran = RunMessages();
  FireTimers(turn_started_);
  ran = RunSteps() || ran;
  const MonotonicTime now = Now();
  MonotonicTime wait_until = std::min({until, NextTimer(), TrimWhenDue(now)});
  if (!idle() || inbox_.load(std::memory_order_relaxed) != nullptr || exit_.load(std::memory_order_relaxed)) {
    wait_until = now;
  }
  EndTurn(now);
  reactor_->Wait(now, wait_until);
  return ran || !idle();
}

void Loop::Run() {
  while (!exit_.load(std::memory_order_acquire)) Turn(MonotonicTime::Infinite());
}

void Loop::Exit() {
  exit_.store(true, std::memory_order_release);
  reactor_->Wake();
}

void Loop::RunUntilDone(Task<void> task) {
  Scope scope(*this);
  scope.Spawn(RunThenWake(std::move(task), *reactor_));
  while (scope.live() > 0) Turn(MonotonicTime::Infinite());
}

}  // namespace heddle::io
