#include "agent/loop_metrics.h"

namespace heddle::agent {
namespace {

// The longest since the last exposition, which begins anew.
uint64_t TakeLongestTurn(io::LoopStats& stats) {
  return static_cast<uint64_t>(stats.lag_max_ns.exchange(0, std::memory_order_relaxed)) / 1000;
}

}  // namespace

LoopMetrics::LoopMetrics(metrics::Registry& registry, const std::vector<Named>& loops) {
  using metrics::Type;
  for (const Named& named : loops) {
    io::LoopStats& stats = named.loop->stats();
    const auto labels = std::vector<std::pair<std::string_view, std::string_view>>{{"loop", named.name}};
    readings_.emplace_back(
        registry, Type::kGauge,
        metrics::Description{.name = "heddle_loop_lag_max_microseconds",
                             .help = "The longest turn of a loop since this was last read.",
                             .labels = labels},
        [&stats] { return TakeLongestTurn(stats); });
    readings_.emplace_back(
        registry, Type::kCounter,
        metrics::Description{.name = "heddle_loop_slow_turns",
                             .help = "Turns of a loop that took longer than 2 ms.",
                             .labels = labels},
        [&stats] { return stats.slow_turns_total.load(std::memory_order_relaxed); });
    readings_.emplace_back(
        registry, Type::kCounter,
        metrics::Description{.name = "heddle_loop_turns", .help = "Turns of a loop.", .labels = labels},
        [&stats] { return stats.turns_total.load(std::memory_order_relaxed); });
  }
}

}  // namespace heddle::agent
