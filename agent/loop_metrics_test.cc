#include "agent/loop_metrics.h"

#include <gmock/gmock.h>

#include "lib/io/testing/simulation.h"

namespace heddle::agent {
namespace {

using ::testing::HasSubstr;

TEST(LoopMetrics, TellTheLongestTurnSinceTheLastTimeAndCountSlowOnes) {
  io::Simulation simulation(1);
  io::Loop& worker = simulation.AddLoop();
  metrics::Registry registry;
  const LoopMetrics metrics(registry, {{&worker, "worker-0"}});
  for (const int milliseconds : {1, 7, 3}) {
    worker.Post([&] { simulation.clock().Advance(absl::Milliseconds(milliseconds)); });
    worker.Turn(MonotonicTime());
  }
  const std::string text = registry.Expose();
  EXPECT_THAT(text, HasSubstr("heddle_loop_lag_max_microseconds{loop=\"worker-0\"} 7000\n"));
  EXPECT_THAT(text, HasSubstr("heddle_loop_slow_turns_total{loop=\"worker-0\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("heddle_loop_turns_total{loop=\"worker-0\"} 3\n"));
  EXPECT_THAT(registry.Expose(),
              HasSubstr("heddle_loop_lag_max_microseconds{loop=\"worker-0\"} 0\n"));
}

}  // namespace
}  // namespace heddle::agent
