#include "lib/grpc/timeout.h"

#include <gtest/gtest.h>

namespace heddle::grpc {
namespace {

TEST(GrpcTimeout, FormatsWithTheFinestUnitThatFits) {
  const struct {
    absl::Duration timeout;
    const char* want;
  } cases[] = {{absl::Seconds(-1), "0n"},
               {absl::Nanoseconds(1), "1n"},
               {absl::Milliseconds(99), "99000000n"},
               {absl::Seconds(1), "1000000u"},
               {absl::Seconds(1) + absl::Nanoseconds(1), "1000001u"},
               {absl::Microseconds(99'999'999), "99999999u"},
               {absl::Microseconds(99'999'999) + absl::Nanoseconds(1), "100000m"},
               {absl::Hours(1), "3600000m"},
               {absl::Hours(24 * 365), "31536000S"},
               {absl::Hours(24 * 365) * 1000000, "99999999H"}};
  for (const auto& c : cases) EXPECT_EQ(FormatTimeout(c.timeout), c.want);
}

TEST(GrpcTimeout, ParsesWhatTheSpecificationAllowsAndNothingElse) {
  const struct {
    const char* text;
    std::optional<absl::Duration> want;
  } cases[] = {{"1H", absl::Hours(1)},
               {"2M", absl::Minutes(2)},
               {"3S", absl::Seconds(3)},
               {"4m", absl::Milliseconds(4)},
               {"5u", absl::Microseconds(5)},
               {"99999999n", absl::Nanoseconds(99999999)},
               {"", std::nullopt},
               {"S", std::nullopt},
               {"1", std::nullopt},
               {"-1S", std::nullopt},
               {"+1S", std::nullopt},
               {"1s", std::nullopt},
               {" 1S", std::nullopt},
               {"123456789S", std::nullopt}};
  for (const auto& c : cases) EXPECT_EQ(ParseTimeout(c.text), c.want) << c.text;
}

}  // namespace
}  // namespace heddle::grpc
