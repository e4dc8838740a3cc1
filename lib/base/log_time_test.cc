#include "lib/base/log_time.h"

#include <gtest/gtest.h>

namespace heddle::log {
namespace {

TEST(LineTime, IsWhatTheLibraryFormats) {
  LineTime line_time;
  const absl::Time start = absl::FromUnixMicros(1'790'000'000'999'998);
  const absl::Duration kSteps[] = {
      absl::ZeroDuration(), absl::Microseconds(1), absl::Microseconds(1), absl::Nanoseconds(999),
      absl::Seconds(59),    -absl::Seconds(3),     -absl::Hours(26),      absl::Hours(24 * 400)};
  absl::Time time = start;
  for (const absl::Duration step : kSteps) {
    time += step;
    std::string text = "at ";
    line_time.Append(time, text);
    EXPECT_EQ(text, "at " + absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()));
  }
}

TEST(LineTime, CountsForwardsBefore1970) {
  LineTime line_time;
  std::string text;
  line_time.Append(absl::UnixEpoch() - absl::Microseconds(1), text);
  EXPECT_EQ(text, "1969-12-31T23:59:59.999999Z");
}

}  // namespace
}  // namespace heddle::log
