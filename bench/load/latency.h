#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace heddle::bench {

// How many samples a run may keep: 256 MiB. A run that would have more fails instead of losing some.
inline constexpr size_t kSamplesMax = 32u << 20;

// What was seen of latencies, in nanoseconds. Percentiles are exact (nearest rank): all samples are kept, which costs a
// store each while measuring and leaves nothing to the choice of buckets.
struct LatencySummary {
  uint64_t count = 0;
  int64_t min = 0, p50 = 0, p90 = 0, p99 = 0, p999 = 0, p9999 = 0, max = 0;
  double mean = 0;
};

// All zero without samples. Sorts them.
LatencySummary Summarize(std::vector<int64_t>& samples);

}  // namespace heddle::bench
