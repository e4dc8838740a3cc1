#pragma once

#include "agent/hbone/tunnel_metrics.h"
#include "agent/proxy/worker_loads.h"
#include "lib/http/window_budget.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// How far the limits of the whole process are used, and how often they were reached. Those of one
// worker are counted as failures of connections, with their reason. Any thread.
class ProxyMetrics {
 public:
  // All of it outlives this.
  ProxyMetrics(metrics::Registry& registry, const WorkerLoads& loads,
               const http::WindowBudget& windows);

  TunnelMetrics tunnels;

 private:
  metrics::Reading connections_;
  metrics::Reading connections_limit_;
  metrics::Reading connections_refused_;
  metrics::Reading windows_;
  metrics::Reading windows_limit_;
  metrics::Reading windows_refused_;
};

}  // namespace heddle::agent
