// The pure parts that hold the limits: budgets, windows, the scanner.

#include <gtest/gtest.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/http/h2_flood_guard.h"
#include "lib/http/rate_budget.h"
#include "lib/http/stream_window.h"
#include "lib/http/testing/raw_frames.h"
#include "lib/http/receive_budget.h"

namespace heddle::http {
namespace {

TEST(RateBudget, GivesItsBurstAndThenItsRate) {
  FakeClock clock;
  RateBudget budget({.burst = 3, .per_second = 2}, clock.Monotonic());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Take(clock.Monotonic()));
  EXPECT_FALSE(budget.Take(clock.Monotonic()));
  clock.Advance(absl::Milliseconds(500));
  EXPECT_TRUE(budget.Take(clock.Monotonic()));
  EXPECT_FALSE(budget.Take(clock.Monotonic()));
  clock.Advance(absl::Hours(1));
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(budget.Take(clock.Monotonic()));
  EXPECT_FALSE(budget.Take(clock.Monotonic()));
}

TEST(RateBudget, EarnedTokensStopAtTheBurst) {
  FakeClock clock;
  RateBudget budget({.burst = 2, .per_second = 0}, clock.Monotonic());
  budget.Earn(100);
  EXPECT_TRUE(budget.Take(clock.Monotonic()) && budget.Take(clock.Monotonic()));
  EXPECT_FALSE(budget.Take(clock.Monotonic()));
}

TEST(ReceiveBudget, LeavesAQuarterToThoseWhoHoldLittle) {
  ReceiveBudget budget(100);
  EXPECT_TRUE(budget.TryTakeMore(50));
  EXPECT_TRUE(budget.ample());
  EXPECT_TRUE(budget.TryTakeMore(25));
  EXPECT_FALSE(budget.ample());
  EXPECT_FALSE(budget.TryTakeMore(1));
  EXPECT_TRUE(budget.TryTake(25));
  EXPECT_TRUE(budget.exhausted());
  EXPECT_FALSE(budget.TryTake(1));
  EXPECT_EQ(budget.refused_total(), 2u);
  budget.Return(100);
  EXPECT_EQ(budget.used(), 0u);
}

TEST(StreamWindow, GrowsWithTheDrainRateAndNotBeyond) {
  FakeClock clock;
  const struct {
    size_t bytes_per_second;
    size_t want;
  } cases[] = {{100'000, 64 << 10}, {10'000'000, 1 << 20}, {1'000'000'000, 4 << 20}};
  for (const auto& c : cases) {
    StreamWindow window(64 << 10, clock.Monotonic());
    for (int i = 0; i < 10'000; ++i) {
      clock.Advance(absl::Milliseconds(1));
      window.Resize(window.OnConsumed(c.bytes_per_second / 1000, clock.Monotonic(), 4 << 20));
    }
    EXPECT_EQ(window.size(), c.want) << c.bytes_per_second;
  }
}

TEST(FrameScanner, FindsEveryHeaderWhateverThePieces) {
  const std::string bytes = "skipped" + RawFrame(FrameType::kData, 1, 3, "abc") +
                            RawFrame(FrameType::kPing, 0, 0) +
                            RawFrame(FrameType::kHeaders, 4, 0x7fffffff, std::string(300, 'x'));
  for (const size_t piece : {size_t{1}, size_t{3}, size_t{9}, size_t{1000}}) {
    FrameScanner scanner(7);
    std::vector<std::array<uint32_t, 4>> seen;
    for (size_t i = 0; i < bytes.size(); i += piece) {
      scanner.Scan(AsBytes(std::string_view(bytes).substr(i, piece)),
                   [&](const FrameHeader& frame) {
                     seen.push_back({frame.length, frame.type, frame.flags, frame.stream});
                     return true;
                   });
    }
    const std::vector<std::array<uint32_t, 4>> want = {
        {3, 0, 1, 3}, {0, 6, 0, 0}, {300, 1, 4, 0x7fffffff}};
    EXPECT_EQ(seen, want) << piece;
  }
}

}  // namespace
}  // namespace heddle::http
