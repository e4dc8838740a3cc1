#pragma once

#include <cstdint>
#include <memory>

#include "lib/io/loop.h"
#include "lib/io/stream.h"

namespace heddle::io {

struct PipeOptions {
  size_t capacity = 64 * 1024;   // Bytes under way in each direction; then Write waits.
  size_t read_max = SIZE_MAX;    // A read returns at most this many: short reads.
  SocketAddress first_address;   // local() of the first end and peer() of the second.
  SocketAddress second_address;
};

// Two ends of a stream in memory.
struct Pipe {
  std::unique_ptr<Connection> first;
  std::unique_ptr<Connection> second;
};

// A pair of connected streams on one loop, with the contract of Stream: bounded, half-close, and Reset() of one
// end is ECONNRESET at the other: at once when it writes, when it reads after what came before. Destroying an
// end without Reset() ends its direction in order, and what the peer writes then fails with EPIPE. Every read
// and write takes at least one step of the loop, as with a kernel.
Pipe MakePipe(Loop& loop, const PipeOptions& options = {});

}  // namespace heddle::io
