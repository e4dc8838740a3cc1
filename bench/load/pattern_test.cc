#include "bench/load/pattern.h"

#include <gtest/gtest.h>

#include <vector>

namespace heddle::bench {
namespace {

std::vector<uint8_t> Copy(std::span<const uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

TEST(Pattern, RecognisesItsOwnBytesAtAnyPosition) {
  const Pattern pattern(7);
  for (const uint64_t position :
       {uint64_t{0}, uint64_t{1}, uint64_t{Pattern::kPeriod - 1}, uint64_t{1} << 40})
    EXPECT_TRUE(pattern.Matches(position, pattern.At(position, Pattern::kPieceMax))) << position;
}

TEST(Pattern, RecognisesWhatIsLongerThanAPiece) {
  const Pattern pattern(7);
  std::vector<uint8_t> bytes = Copy(pattern.At(5, Pattern::kPieceMax));
  const auto more = pattern.At(5 + Pattern::kPieceMax, 100);
  bytes.insert(bytes.end(), more.begin(), more.end());
  EXPECT_TRUE(pattern.Matches(5, bytes));
  bytes.back() ^= 1;
  EXPECT_FALSE(pattern.Matches(5, bytes));
}

TEST(Pattern, SeesBlocksThatAreLostDoubledOrOfAnotherFlow) {
  const Pattern pattern(7);
  for (size_t block = 1; block <= Pattern::kPieceMax; block *= 2)
    EXPECT_FALSE(pattern.Matches(block, pattern.At(0, 4096))) << block;
  EXPECT_FALSE(pattern.Matches(0, Pattern(8).At(0, 4096)));
}

TEST(Pattern, SeesOneWrongBit) {
  const Pattern pattern(7);
  std::vector<uint8_t> bytes = Copy(pattern.At(0, 1000));
  for (size_t i = 0; i < bytes.size(); i += 99) {
    bytes[i] ^= 0x10;
    EXPECT_FALSE(pattern.Matches(0, bytes)) << i;
    bytes[i] ^= 0x10;
  }
}

}  // namespace
}  // namespace heddle::bench
