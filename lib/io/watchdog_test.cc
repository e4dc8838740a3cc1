#include "lib/io/watchdog.h"

#include <gtest/gtest.h>

namespace heddle::io {
namespace {

TEST(Watchdog, TellsAStuckTurnFromAWaitAndAShortTurn) {
  const MonotonicTime now = MonotonicTime::FromNanoseconds(60'000'000'000);
  struct { int64_t started_ns; bool stuck; } cases[] = {
      {0, false}, {59'000'000'000, false}, {55'000'000'000, false}, {54'999'999'999, true}};
  for (const auto& c : cases) {
    LoopStats stats;
    stats.turn_started_ns = c.started_ns;
    EXPECT_EQ(IsStuck(stats, now, absl::Seconds(5)), c.stuck) << c.started_ns;
  }
}

void GetStuck() {
  SystemClock clock;
  Loop loop(clock, LoopOptions{.backend = BackendChoice::kEpoll});
  const Watchdog watchdog(clock, {{&loop, "worker-7"}}, absl::Milliseconds(20));
  loop.Post([] {
    for (volatile int forever = 1; forever != 0;) {
    }
  });
  loop.Run();
}

TEST(WatchdogDeathTest, NamesTheStuckLoopAndAborts) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(GetStuck(), "loop worker-7 is stuck");
}

}  // namespace
}  // namespace heddle::io
