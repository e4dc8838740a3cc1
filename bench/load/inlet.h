#pragma once

#include <cstdint>
#include <span>

#include "bench/load/pattern.h"
#include "lib/io/stream.h"

namespace heddle::bench {

// The receiving side of a stream, in the pieces that a caller wants. Outlived by the stream; one call at a time.
class Inlet {
 public:
  explicit Inlet(io::Stream& stream) : stream_(stream) {}

  // What is there, at most `size_max` bytes, valid until the next call; empty at the orderly end.
  Task<io::Result<std::span<const uint8_t>>> Some(size_t size_max, StopToken stop);
  // Exactly these; an end before is kUnexpectedEof.
  Task<io::Result<void>> Exactly(std::span<uint8_t> out, StopToken stop);
  // `size` bytes from the beginning of `pattern`; whether they were those.
  Task<io::Result<bool>> Checked(Pattern pattern, uint64_t size, StopToken stop);

 private:
  io::Stream& stream_;
  io::Buffer buffer_;
  size_t taken_ = 0;  // From the front of the buffer, by the last call.
};

}  // namespace heddle::bench
