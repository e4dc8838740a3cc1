#pragma once

#include <absl/time/time.h>

#include <memory>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/io/loop.h"

namespace heddle::io {

// True when the turn under way has lasted longer than `limit`.
bool IsStuck(const LoopStats& stats, MonotonicTime now, absl::Duration limit);

// A thread that looks at loops once a second. A loop whose turn lasts longer than the limit is beyond repair:
// its name and its stack are written to standard error, and the process aborts, so that its supervisor starts a
// working one.
class Watchdog {
 public:
  // Far beyond any turn that is only slow: a stalled machine must not kill the process.
  static constexpr absl::Duration kLimit = absl::Seconds(5);

  struct Watched {
    const Loop* loop = nullptr;
    std::string name;
  };
  // The loops outlive the watchdog. One watchdog per process: it owns a signal (SIGRTMIN).
  Watchdog(Clock& clock, std::vector<Watched> loops, absl::Duration limit = kLimit);
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

 private:
  struct Thread;
  std::unique_ptr<Thread> thread_;
};

}  // namespace heddle::io
