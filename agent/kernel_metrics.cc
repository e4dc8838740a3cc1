#include "agent/kernel_metrics.h"

#include <algorithm>

namespace heddle::agent {

KernelMetrics::KernelMetrics(metrics::Registry& registry, const BpfCounters& counters,
                             const PodRegistry& pods)
    : counters_(counters),
      pods_(pods),
      captured_(registry, {"heddle_pods_captured",
                           "Pods that are captured, as the kernel said at the last look"}),
      gaps_(registry, {"heddle_capture_gaps",
                       "Pods that should be captured and are not, or not all of their processes"}),
      strays_(registry,
              {"heddle_stray_processes",
               "Processes in captured network namespaces but outside the cgroup of the hooks"}),
      repaired_(registry, {"heddle_capture_repairs", "Gaps that the reconciler found and closed"}),
      captured_running_(registry, {"heddle_pods_captured_running",
                                   "Pods that were captured in place, while their processes ran"}),
      faster_(registry, {"heddle_pods_faster_than_agent",
                         "Of the pods captured in place those that were enrolled when this agent "
                         "first heard of them: they had started without it"}),
      open_before_capture_(
          registry, {"heddle_connections_open_before_capture",
                     "Connections that pods had open when they were captured in place: they go on "
                     "outside of the mesh until they end"}) {
  for (size_t i = 0; i < HD_STAT_COUNT; ++i) {
    const metrics::Description description{
        .name = "heddle_kernel_decisions",
        .help = "What the BPF programs did with connects, binds and inbound connections",
        .labels = {{"decision", StatName(static_cast<hd_stat>(i))}}};
    stats_[i] = std::make_unique<metrics::Counter>(registry, description);
  }
}

void KernelMetrics::Update() {
  const auto now = counters_.ReadAll();
  // The kernel's counters outlive an agent, so the first difference is all that it counted before.
  for (size_t i = 0; i < HD_STAT_COUNT; ++i)
    stats_[i]->Add(now[i] - std::min(now[i], stats_[i]->value()));
  const auto pods = pods_.List();
  captured_.Set(
      std::count_if(pods.begin(), pods.end(), [](const PodStatus& pod) { return pod.captured; }));
  gaps_.Set(static_cast<int64_t>(pods_.stats().gaps));
  strays_.Set(static_cast<int64_t>(pods_.stats().stray_processes));
  repaired_.Add(pods_.stats().repaired_total - repaired_.value());
  captured_running_.Add(pods_.stats().captured_running_total - captured_running_.value());
  faster_.Add(pods_.stats().faster_total - faster_.value());
  open_before_capture_.Add(pods_.stats().open_before_capture_total - open_before_capture_.value());
}

}  // namespace heddle::agent
