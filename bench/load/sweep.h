#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <vector>

#include "lib/io/address.h"

namespace heddle::bench {

// After that a sweep fails.
inline constexpr absl::Duration kSweepMax = absl::Seconds(60);

struct SweepOptions {
  std::vector<io::SocketAddress> servers;
  // The files of the network namespaces that the clients connect from, one for each; empty: one client, in the
  // process's own.
  std::vector<std::string> clients;
  size_t workers = 1;
  // When to begin, on the monotonic clock; 0: at once.
  int64_t start_ns = 0;
  // So many servers, each client's first ones, are connected to before that and not counted: they warm the way up.
  size_t warm_up = 0;
  // A server that cannot be reached is tried again every millisecond, for as long as kSweepMax.
  bool retry = false;
};

// Each client connects to each server once, one after the other (a byte each way, end), all clients at the same time;
// each begins with another server. Prints, for each client, when it began and when each connection ended. For what a
// connection costs where nothing is warm.
int RunSweep(const SweepOptions& options);

}  // namespace heddle::bench
