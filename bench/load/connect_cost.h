#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/clock.h"
#include "lib/io/address.h"

namespace heddle::bench {

// One connect(2) of a blocking socket, which is reset at once, so that no port is left in TIME_WAIT: there are fewer
// ports than connects. Its nanoseconds are added to `samples`. Errno, or 0. Call it in the pod's netns.
int TimeConnect(const Clock& clock, const io::SocketAddress& to, std::vector<int64_t>& samples);

// {"connects", "p50_us", "p99_us", "mean_us"} and the error of the one that failed ("": none). Sorts the samples.
std::string ConnectCostJson(std::vector<int64_t>& samples, int error);

}  // namespace heddle::bench
