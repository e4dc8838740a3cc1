#include "bench/load/sweep.h"

#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "bench/load/client.h"

namespace heddle::bench {
namespace {

constexpr absl::Duration kRetryPause = absl::Milliseconds(1);

struct Sweep {
  std::string error;
  MonotonicTime begun, ended;
  uint64_t operations = 0;
};

Task<void> ConnectToEach(io::Loop& loop, const SweepOptions& options, Sweep& sweep) {
  Member member(loop);
  Deadline deadline(loop, {}, kSweepMax);
  const MonotonicTime start = MonotonicTime::FromNanoseconds(options.start_ns);
  if (start > loop.Now()) (void)co_await loop.Sleep(start - loop.Now(), {});
  sweep.begun = loop.Now();
  for (const io::SocketAddress& server : options.servers) {
    auto done = co_await ConnectOnce(member, server, deadline.token());
    while (!done && options.retry && co_await loop.Sleep(kRetryPause, deadline.token()))
      done = co_await ConnectOnce(member, server, deadline.token());
    sweep.error = done ? *done : done.error().ToString();
    if (!sweep.error.empty()) break;
    ++sweep.operations;
  }
  sweep.ended = loop.Now();
}

}  // namespace

int RunSweep(const SweepOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Sweep sweep;
  loop.RunUntilDone(ConnectToEach(loop, options, sweep));
  const nlohmann::json report = {{"begun_ns", sweep.begun.nanoseconds()},
                                 {"ended_ns", sweep.ended.nanoseconds()},
                                 {"operations", sweep.operations},
                                 {"error", sweep.error}};
  std::printf("%s\n", report.dump().c_str());
  return sweep.error.empty() ? 0 : 1;
}

}  // namespace heddle::bench
