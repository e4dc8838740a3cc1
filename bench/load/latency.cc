#include "bench/load/latency.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace heddle::bench {

LatencySummary Summarize(std::vector<int64_t>& samples) {
  if (samples.empty()) return {};
  std::ranges::sort(samples);
  // The smallest sample that at least this share of all samples does not exceed.
  const auto rank = [&samples](double share) {
    const auto position =
        static_cast<size_t>(std::ceil(share * static_cast<double>(samples.size())));
    return samples[std::clamp<size_t>(position, 1, samples.size()) - 1];
  };
  const double sum = std::accumulate(samples.begin(), samples.end(), 0.0);
  return {.count = samples.size(),
          .min = samples.front(),
          .p50 = rank(0.5),
          .p90 = rank(0.9),
          .p99 = rank(0.99),
          .p999 = rank(0.999),
          .p9999 = rank(0.9999),
          .max = samples.back(),
          .mean = sum / static_cast<double>(samples.size())};
}

}  // namespace heddle::bench
