#pragma once

#include <absl/time/time.h>

#include "lib/io/address.h"

namespace heddle::bench {

struct InterceptionOptions {
  io::SocketAddress to;
  size_t count = 10'000;
  // Between two connects, so that whoever accepts them is done with one before the next.
  absl::Duration pause = absl::Microseconds(200);
};

// Measures what connect(2) itself takes on blocking sockets, which are reset at once, and prints a JSON object. Where
// the listener is in the same namespace, the three-way handshake is part of the call and nothing else waits for.
int RunInterception(const InterceptionOptions& options);

}  // namespace heddle::bench
