#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <vector>

#include "lib/io/address.h"

namespace heddle::bench {

// After that a sweep fails.
inline constexpr absl::Duration kSweepMax = absl::Seconds(60);

struct SweepOptions {
  std::vector<io::SocketAddress> servers;
  // When to begin, on the monotonic clock that all processes of a machine share; 0: at once. So several clients in
  // namespaces of their own begin together.
  int64_t start_ns = 0;
  // So many servers, the first ones, are connected to before that and not counted: they warm the way up.
  size_t warm_up = 0;
  // A server that cannot be reached is tried again every millisecond, for as long as kSweepMax.
  bool retry = false;
};

// Connects to each server once, one after the other (a byte each way, end), and prints when it began and when each
// connection ended. For what a connection costs where nothing is warm.
int RunSweep(const SweepOptions& options);

}  // namespace heddle::bench
