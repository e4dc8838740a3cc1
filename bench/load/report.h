#pragma once

#include <string>
#include <vector>

#include "bench/load/client.h"

namespace heddle::bench {

// What the home thread read at one moment of a run.
struct Moment {
  MonotonicTime time;
  std::vector<uint64_t> bytes;  // Of each flow.
  UsageSample usage;
};

// The run as a JSON object, one line. Times are in seconds, latencies in microseconds. Takes the samples.
std::string ReportJson(const ClientOptions& options, const Moment& begin, const Moment& end,
                       std::vector<Flow>& flows);

}  // namespace heddle::bench
