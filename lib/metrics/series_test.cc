#include "lib/metrics/series.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace heddle::metrics {
namespace {

using ::testing::HasSubstr;

SeriesCell& With(CounterSeries& series, std::string_view a, std::string_view b) {
  const std::array<std::string_view, 2> values = {a, b};
  return series.With(values);
}

TEST(CounterSeries, GivesTheSameSeriesForTheSameLabels) {
  Registry registry;
  CounterSeries series(registry, {.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 10});
  EXPECT_EQ(&With(series, "1", "2"), &With(series, "1", "2"));
  EXPECT_NE(&With(series, "1", "2"), &With(series, "12", ""));
  With(series, "1", "2").Add(3);
  EXPECT_THAT(registry.Expose(), HasSubstr("s_total{a=\"1\",b=\"2\"} 3\n"));
  EXPECT_THAT(registry.Expose(), HasSubstr("s_total{a=\"12\"} 0\n"));
}

TEST(CounterSeries, OneKeyServesSeveralFamilies) {
  Registry registry;
  CounterSeries first(registry, {.name = "f", .help = "F.", .labels = {"a", "b"}, .series_max = 10});
  CounterSeries second(registry, {.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 10});
  SeriesKey key;
  using Values = std::array<std::string_view, 2>;
  for (const Values& values : {Values{"1", "x"}, Values{"2", "x"}, Values{"1", "x"}}) {
    key.Assign(values);
    EXPECT_EQ(&first.With(key), &first.With(values));
    second.With(key).Add(5);
  }
  EXPECT_THAT(registry.Expose(), HasSubstr("s_total{a=\"1\",b=\"x\"} 10\ns_total{a=\"2\",b=\"x\"} 5\n"));
}

TEST(CounterSeries, CannotBeFooledByQuotesInValues) {
  Registry registry;
  CounterSeries series(registry, {.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 10});
  EXPECT_NE(&With(series, "1\",b=\"2", ""), &With(series, "1", "2"));
}

TEST(CounterSeries, FoldsWhatHasNoRoomIntoOtherAndCountsIt) {
  Registry registry;
  CounterSeries series(registry, {.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 2});
  With(series, "1", "x").Add();
  With(series, "2", "x").Add();
  With(series, "3", "x").Add();
  With(series, "4", "x").Add();
  With(series, "1", "x").Add();
  const std::string text = registry.Expose();
  EXPECT_THAT(text, HasSubstr("s_total{a=\"1\",b=\"x\"} 2\ns_total{a=\"2\",b=\"x\"} 1\n"
                              "s_total{a=\"other\",b=\"other\"} 2\n"));
  EXPECT_EQ(registry.folded().value(), 2u);
}

TEST(CounterSeries, AddsUpTheWorkersSeries) {
  Registry registry;
  const SeriesDescription description{.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 2};
  CounterSeries first(registry, description);
  CounterSeries second(registry, description);
  With(first, "1", "x").Add(1);
  With(second, "1", "x").Add(2);
  EXPECT_THAT(registry.Expose(), HasSubstr("s_total{a=\"1\",b=\"x\"} 3\n"));
}

TEST(CounterSeries, MayBeExposedWhileItsWorkerAddsSeries) {
  Registry registry;
  CounterSeries series(registry, {.name = "s", .help = "S.", .labels = {"a", "b"}, .series_max = 1000});
  std::thread worker([&series] {
    for (int i = 0; i < 1000; ++i) With(series, std::to_string(i), "x").Add();
  });
  for (int i = 0; i < 20; ++i) EXPECT_THAT(registry.Expose(), HasSubstr("# EOF"));
  worker.join();
  EXPECT_THAT(registry.Expose(), HasSubstr("s_total{a=\"999\",b=\"x\"} 1\n"));
}

}  // namespace
}  // namespace heddle::metrics
