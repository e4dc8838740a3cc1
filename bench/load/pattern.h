#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace heddle::bench {

// An endless stream of known bytes, different for each seed, which the receiver checks byte for byte: what arrives is
// then known to be whole and in order at the price of a memcmp, which is less than that of a checksum.
//
// The period is a prime, so that a block of any power of two that is lost, doubled or swapped shows.
class Pattern {
 public:
  static constexpr size_t kPeriod = 65521;
  // The longest piece that At() gives: as much as a client writes at once.
  static constexpr size_t kPieceMax = 1024 * 1024;

  explicit Pattern(uint32_t seed) : start_(static_cast<uint64_t>(seed) * 7919 % kPeriod) {}

  // The `size` bytes at `position`, at most kPieceMax. Valid as long as the process.
  std::span<const uint8_t> At(uint64_t position, size_t size) const;
  // Whether `bytes`, of any length, are those at `position`.
  bool Matches(uint64_t position, std::span<const uint8_t> bytes) const;

 private:
  uint64_t start_;
};

}  // namespace heddle::bench
