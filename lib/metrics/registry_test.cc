#include "lib/metrics/registry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>

namespace heddle::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Registry, WritesCountersAndGaugesAsOpenMetrics) {
  Registry registry;
  const Description description{.name = "heddle_accepted", .help = "Accepted.", .labels = {{"role", "outbound"}}};
  Counter accepted(registry, description);
  Gauge open(registry, {.name = "heddle_open", .help = "Connections open."});
  accepted.Add();
  accepted.Add(2);
  open.Set(5);
  open.Add(-7);
  EXPECT_EQ(registry.Expose(),
            "# TYPE heddle_accepted counter\n"
            "# HELP heddle_accepted Accepted.\n"
            "heddle_accepted_total{role=\"outbound\"} 3\n"
            "# TYPE heddle_metrics_series_folded counter\n"
            "# HELP heddle_metrics_series_folded Label sets counted as \"other\" because their metric had no room "
            "for more.\n"
            "heddle_metrics_series_folded_total 0\n"
            "# TYPE heddle_open gauge\n"
            "# HELP heddle_open Connections open.\n"
            "heddle_open -2\n"
            "# EOF\n");
}

TEST(Registry, AddsUpDeclarationsWithTheSameLabels) {
  Registry registry;
  Counter first(registry, {.name = "x", .help = "X.", .labels = {{"a", "1"}}});
  Counter second(registry, {.name = "x", .help = "X.", .labels = {{"a", "1"}}});
  Counter third(registry, {.name = "x", .help = "X.", .labels = {{"a", "2"}}});
  first.Add(1);
  second.Add(2);
  third.Add(4);
  EXPECT_THAT(registry.Expose(), HasSubstr("x_total{a=\"1\"} 3\nx_total{a=\"2\"} 4\n"));
}

TEST(Registry, ForgetsAMetricWithItsOwner) {
  Registry registry;
  std::optional<Gauge> gauge;
  gauge.emplace(registry, Description{.name = "short_lived", .help = "Gone soon."});
  EXPECT_THAT(registry.Expose(), HasSubstr("short_lived"));
  gauge.reset();
  EXPECT_THAT(registry.Expose(), Not(HasSubstr("short_lived")));
}

TEST(Registry, ReadsWhatOthersKeepWhenItWrites) {
  Registry registry;
  uint64_t kept = 1;
  const Reading reading(registry, Type::kCounter, {.name = "kept", .help = "Kept."}, [&kept] { return kept; });
  kept = 7;
  EXPECT_THAT(registry.Expose(), HasSubstr("kept_total 7\n"));
}

TEST(Registry, EscapesLabelValuesAndHelp) {
  Registry registry;
  Gauge gauge(registry, {.name = "g", .help = "Line\none \\ \"two\".", .labels = {{"path", "a\"b\\c\nd"}}});
  EXPECT_THAT(registry.Expose(), HasSubstr("# HELP g Line\\none \\\\ \"two\".\ng{path=\"a\\\"b\\\\c\\nd\"} 0\n"));
}

}  // namespace
}  // namespace heddle::metrics
