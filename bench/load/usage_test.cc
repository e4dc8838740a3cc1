#include "bench/load/usage.h"

#include <gtest/gtest.h>

namespace heddle::bench {
namespace {

TEST(Usage, ReadsTheTimeOfACgroup) {
  EXPECT_EQ(*ParseCpuStat("usage_usec 123\nuser_usec 100\nsystem_usec 23\n"), 123);
  EXPECT_FALSE(ParseCpuStat("user_usec 100\n").ok());
  EXPECT_FALSE(ParseCpuStat("usage_usec x\n").ok());
}

TEST(Usage, ReadsStealAndTotalOfTheMachine) {
  const auto ticks = ParseProcStat("cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1 1 1 1 1 1 1 0 0\n");
  ASSERT_TRUE(ticks.ok());
  EXPECT_EQ(ticks->first, 8);
  EXPECT_EQ(ticks->second, 36);
  EXPECT_FALSE(ParseProcStat("cpu0 1 2 3").ok());
}

TEST(Usage, SourcesAreNamedDirectories) {
  const auto source = UsageSource::Parse("a=/sys/fs/cgroup/x=y");
  ASSERT_TRUE(source.ok());
  EXPECT_EQ(source->name, "a");
  EXPECT_EQ(source->directory, "/sys/fs/cgroup/x=y");
  for (const char* bad : {"", "a", "=x", "a="}) EXPECT_FALSE(UsageSource::Parse(bad).ok()) << bad;
}

TEST(Usage, OfACgroupThatIsNotThereIsAnError) {
  EXPECT_FALSE(SampleUsage({{.name = "gone", .directory = "/nonexistent"}}).ok());
}

}  // namespace
}  // namespace heddle::bench
