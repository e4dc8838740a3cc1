#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/time/time.h>

#include <atomic>
#include <memory>

#include "lib/base/executor.h"
#include "lib/base/scope.h"
#include "lib/io/buffer.h"
#include "lib/io/reactor.h"

namespace heddle::io {

// kIoUring dies where there is none: try MakeIoUringReactor first to say it in a sentence.
enum class BackendChoice : uint8_t { kAuto, kEpoll, kIoUring };

struct LoopOptions {
  BackendChoice backend = BackendChoice::kAuto;  // kAuto: io_uring when a trial succeeds, else epoll.
  size_t buffer_limit_bytes = 512u << 20;
};

// What a turn may take: whatever else the loop serves waits so long.
inline constexpr absl::Duration kTurnMax = absl::Milliseconds(2);

// Written by the loop, read by any thread.
struct LoopStats {
  std::atomic<uint64_t> turns_total = 0;
  std::atomic<uint64_t> slow_turns_total = 0;  // Those longer than kTurnMax.
  std::atomic<int64_t> lag_max_ns = 0;       // The longest turn since somebody reset it.
  std::atomic<int64_t> turn_started_ns = 0;  // Start of the turn under way, 0 while waiting: for the watchdog.
};

// One thread's event loop: ready coroutines, timers, kernel events, and messages from other loops. Constructed
// and run on the thread that it belongs to. Objects made on a loop are used and destroyed on it.
class Loop final : public Executor {
 public:
  Loop(Clock& clock, const LoopOptions& options);
  // With a reactor of the caller's: the simulation.
  Loop(Clock& clock, std::unique_ptr<BufferPool> buffers, std::unique_ptr<Reactor> reactor);
  ~Loop();

  Reactor& reactor() { return *reactor_; }
  BufferPool& buffers() { return *buffers_; }
  const LoopStats& stats() const { return stats_; }
  LoopStats& stats() { return stats_; }
  // The kernel's id of the thread that it belongs to. From any thread.
  int thread_id() const { return thread_id_; }
  // Why io_uring was not taken with kAuto; empty when it was, or was not asked for.
  const std::string& fallback_reason() const { return fallback_reason_; }

  // Runs `message` on this loop on a later turn, in the order posted by each thread. From any thread. Messages
  // posted after the loop has ended are destroyed unrun with the loop.
  void Post(absl::AnyInvocable<void()> message);

  // Turns until Exit() was called.
  void Run();
  // Ends Run() after the current turn. From any thread.
  void Exit();
  // Turns until `task` has ended: for main functions, commands and tests.
  void RunUntilDone(Task<void> task);
  // One turn: messages, timers and what is ready, in several steps while that is little, then one wait for events, at
  // most until `until`. True when anything ran.
  bool Turn(MonotonicTime until);

 private:
  struct Message;
  bool RunMessages();
  bool RunSteps();
  void BeginTurn(MonotonicTime now);
  void EndTurn(MonotonicTime now);
  MonotonicTime TrimWhenDue(MonotonicTime now);

  const int thread_id_;
  std::string fallback_reason_;
  std::unique_ptr<BufferPool> buffers_;
  std::unique_ptr<Reactor> reactor_;
  LoopStats stats_;
  std::atomic<Message*> inbox_ = nullptr;  // Newest first; taken whole and reversed.
  std::atomic<bool> exit_ = false;
  MonotonicTime turn_started_;
  MonotonicTime trim_at_ = MonotonicTime::Infinite();  // When free memory is given back next.
  bool trimming_ = false;  // In several turns: there is much.
  int heap_trims_due_ = 0;
};

}  // namespace heddle::io
