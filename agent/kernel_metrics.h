#pragma once

#include <array>
#include <memory>

#include "agent/node/bpf_counters.h"
#include "agent/node/pod_registry.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// What the BPF programs and the reconciler count, as metrics. Update() before each exposition.
// Control loop only.
class KernelMetrics {
 public:
  // All of it outlives this.
  KernelMetrics(metrics::Registry& registry, const BpfCounters& counters, const PodRegistry& pods);
  void Update();

 private:
  const BpfCounters& counters_;
  const PodRegistry& pods_;
  std::array<std::unique_ptr<metrics::Counter>, HD_STAT_COUNT> stats_;
  metrics::Gauge captured_;
  metrics::Gauge gaps_;
  metrics::Gauge strays_;
  metrics::Counter repaired_;
  metrics::Counter captured_running_;
  metrics::Counter faster_;
  metrics::Counter open_before_capture_;
};

}  // namespace heddle::agent
