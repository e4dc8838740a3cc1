#include "bench/load/latency.h"

#include <gtest/gtest.h>

namespace heddle::bench {
namespace {

TEST(Latency, GivesTheNearestRankOfSamplesInAnyOrder) {
  std::vector<int64_t> samples;
  for (int64_t i = 1000; i >= 1; --i) samples.push_back(i);
  const LatencySummary summary = Summarize(samples);
  EXPECT_EQ(summary.count, 1000u);
  EXPECT_EQ(summary.min, 1);
  EXPECT_EQ(summary.p50, 500);
  EXPECT_EQ(summary.p90, 900);
  EXPECT_EQ(summary.p99, 990);
  EXPECT_EQ(summary.p999, 999);
  EXPECT_EQ(summary.p9999, 1000);
  EXPECT_EQ(summary.max, 1000);
  EXPECT_DOUBLE_EQ(summary.mean, 500.5);
}

TEST(Latency, OfOneSampleIsThatSampleAndOfNoneIsZero) {
  std::vector<int64_t> one = {42};
  EXPECT_EQ(Summarize(one).p50, 42);
  EXPECT_EQ(Summarize(one).p9999, 42);
  std::vector<int64_t> none;
  EXPECT_EQ(Summarize(none).count, 0u);
}

}  // namespace
}  // namespace heddle::bench
