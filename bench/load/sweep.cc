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
  MonotonicTime begun;
  std::vector<int64_t> ended_ns;  // Of each connection that counts.
};

Task<std::string> ConnectToOne(Member& member, const SweepOptions& options,
                               io::SocketAddress server, StopToken stop) {
  auto done = co_await ConnectOnce(member, server, stop);
  while (!done && options.retry && co_await member.loop.Sleep(kRetryPause, stop))
    done = co_await ConnectOnce(member, server, stop);
  co_return done ? *done : done.error().ToString();
}

Task<void> ConnectToEach(io::Loop& loop, const SweepOptions& options, Sweep& sweep) {
  Member member(loop);
  Deadline deadline(loop, {}, kSweepMax);
  const MonotonicTime start = MonotonicTime::FromNanoseconds(options.start_ns);
  for (size_t i = 0; i < options.servers.size(); ++i) {
    if (i == options.warm_up) {
      if (start > loop.Now()) (void)co_await loop.Sleep(start - loop.Now(), {});
      sweep.begun = loop.Now();
    }
    sweep.error = co_await ConnectToOne(member, options, options.servers[i], deadline.token());
    if (!sweep.error.empty()) break;
    if (i >= options.warm_up) sweep.ended_ns.push_back(loop.Now().nanoseconds());
  }
}

}  // namespace

int RunSweep(const SweepOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Sweep sweep;
  loop.RunUntilDone(ConnectToEach(loop, options, sweep));
  const nlohmann::json report = {{"begun_ns", sweep.begun.nanoseconds()},
                                 {"ended_ns", sweep.ended_ns},
                                 {"error", sweep.error}};
  std::printf("%s\n", report.dump().c_str());
  return sweep.error.empty() ? 0 : 1;
}

}  // namespace heddle::bench
