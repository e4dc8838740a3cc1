#include "bench/load/pattern.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/random.h"

namespace heddle::bench {
namespace {

// One period and a piece, so that a piece that begins anywhere in the period is contiguous.
std::vector<uint8_t> MakeBlock() {
  SeededRandom random(1);
  std::vector<uint8_t> block(Pattern::kPeriod + Pattern::kPieceMax);
  for (size_t i = 0; i < Pattern::kPeriod; ++i) block[i] = static_cast<uint8_t>(random.Next());
  for (size_t i = Pattern::kPeriod; i < block.size(); ++i) block[i] = block[i - Pattern::kPeriod];
  return block;
}

}  // namespace

std::span<const uint8_t> Pattern::At(uint64_t position, size_t size) const {
  static const std::vector<uint8_t> block = MakeBlock();
  CHECK(size <= kPieceMax);
  return std::span(block).subspan((start_ + position) % kPeriod, size);
}

bool Pattern::Matches(uint64_t position, std::span<const uint8_t> bytes) const {
  while (!bytes.empty()) {
    const size_t size = std::min(bytes.size(), kPieceMax);
    if (std::memcmp(At(position, size).data(), bytes.data(), size) != 0) return false;
    position += size;
    bytes = bytes.subspan(size);
  }
  return true;
}

}  // namespace heddle::bench
