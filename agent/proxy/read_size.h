#pragma once

#include <cstddef>
#include <cstdint>

#include "lib/io/buffer.h"

namespace heddle::agent {

// How much to ask for in the next read of one direction: small at first, so that an exchange of
// messages costs little memory, larger once reads come back full, smaller again when they are
// nearly empty.
//
//     4 KiB -> 16 KiB (one TLS record) -> 64 KiB -> 256 KiB
class ReadSize {
 public:
  size_t hint() const { return kSizes[step_]; }

  // Tells how much the last read with hint() returned.
  void Note(size_t bytes) {
    if (bytes >= hint() - hint() / 8) {
      step_ += step_ + 1 < kSteps ? 1 : 0;
    } else if (step_ > 0 && bytes <= kSizes[step_ - 1] / 2) {
      --step_;
    }
  }

 private:
  static constexpr size_t kSteps = 4;
  static constexpr size_t kSizes[kSteps] = {io::BufferPool::kSmall, io::BufferPool::kRecord,
                                            io::BufferPool::kBulk, io::BufferPool::kBulkMax};
  uint8_t step_ = 0;
};

}  // namespace heddle::agent
