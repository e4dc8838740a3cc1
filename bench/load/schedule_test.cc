#include "bench/load/schedule.h"

#include <gtest/gtest.h>

#include <set>

namespace heddle::bench {
namespace {

TEST(Schedule, SpreadsTheRateEvenlyOverFlowsAndTime) {
  const Schedule schedule(MonotonicTime::FromNanoseconds(500), 1000, 4);
  std::set<int64_t> times;
  for (uint64_t flow = 0; flow < 4; ++flow)
    for (uint64_t number = 0; number < 250; ++number)
      times.insert(schedule.At(flow, number).nanoseconds());
  EXPECT_EQ(times.size(), 1000u);
  EXPECT_EQ(*times.begin(), 500);
  EXPECT_EQ(*times.rbegin(), 500 + 999 * 1'000'000);
}

TEST(Schedule, DoesNotDriftOverADay) {
  const Schedule schedule(MonotonicTime(), 30'000, 1);
  EXPECT_EQ(schedule.At(0, 30'000ull * 86'400).nanoseconds(), 86'400ll * 1'000'000'000);
}

}  // namespace
}  // namespace heddle::bench
