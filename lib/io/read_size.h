#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "lib/io/buffer.h"

namespace heddle::io {

// How much to ask for in the next read of a flow: small at first, so that an exchange of messages costs little memory,
// larger once reads come back full, smaller again when they have been small for some time: a bulk flow's reads are
// uneven, and one that brought little says nothing about the next.
//
//     4 KiB -> 16 KiB (one TLS record) -> 60 KiB -> 120 KiB
//
// The steps are a little less than the pool's blocks, so that what was read still fits in one block with what a
// protocol puts around it. Pure.
class ReadSize {
 public:
  // Small reads, one after the other, that make the next ones smaller.
  static constexpr uint8_t kPatience = 8;
  static constexpr size_t kLargest = size_t{120} * 1024;

  size_t hint() const { return kSizes[step_]; }

  // Tells how much the last read returned.
  void Note(size_t bytes) {
    if (bytes >= hint() - hint() / 8) {
      small_reads_ = 0;
      if (step_ + 1u < kSizes.size()) ++step_;
    } else if (step_ == 0 || bytes > kSizes[step_ - 1u] / 2) {
      small_reads_ = 0;
    } else if (++small_reads_ == kPatience) {
      small_reads_ = 0;
      --step_;
    }
  }

 private:
  static constexpr std::array<size_t, 4> kSizes = {BufferPool::kSmall, size_t{16} * 1024, size_t{60} * 1024, kLargest};
  uint8_t step_ = 0;
  uint8_t small_reads_ = 0;
};

}  // namespace heddle::io
