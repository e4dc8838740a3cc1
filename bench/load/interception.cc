#include "bench/load/interception.h"

#include <cstdio>
#include <vector>

#include "bench/load/connect_cost.h"
#include "lib/io/loop.h"

namespace heddle::bench {
namespace {

struct Result {
  std::vector<int64_t> samples;
  int error = 0;
};

Task<void> ConnectAll(io::Loop& loop, const InterceptionOptions& options, Result& result) {
  while (result.samples.size() < options.count && result.error == 0) {
    result.error = TimeConnect(loop.clock(), options.to, result.samples);
    (void)co_await loop.Sleep(options.pause, {});
  }
}

}  // namespace

int RunInterception(const InterceptionOptions& options) {
  SystemClock clock;
  io::Loop loop(clock, io::LoopOptions{.backend = io::BackendChoice::kEpoll});
  Result result;
  loop.RunUntilDone(ConnectAll(loop, options, result));
  std::printf("%s\n", ConnectCostJson(result.samples, result.error).c_str());
  return result.error == 0 ? 0 : 1;
}

}  // namespace heddle::bench
