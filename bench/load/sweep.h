#pragma once

#include <cstdint>
#include <vector>

#include "lib/io/address.h"

namespace heddle::bench {

struct SweepOptions {
  std::vector<io::SocketAddress> servers;
  // When to begin, on the monotonic clock that all processes of a machine share; 0: at once. So several clients in
  // namespaces of their own begin together.
  int64_t start_ns = 0;
};

// Connects to each server once, one after the other (a byte each way, end), and prints when it began and ended. For
// what a connection costs where nothing is warm.
int RunSweep(const SweepOptions& options);

}  // namespace heddle::bench
