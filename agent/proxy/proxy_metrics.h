#pragma once

#include "agent/hbone/tunnel_metrics.h"
#include "agent/proxy/worker_loads.h"
#include "lib/http/receive_budget.h"
#include "lib/metrics/registry.h"

namespace heddle::agent {

// How far the limits of the whole process are used, and how often they were reached. Those of one
// worker are counted as failures of connections, with their reason. Any thread.
class ProxyMetrics {
 public:
  // All of it outlives this.
  ProxyMetrics(metrics::Registry& registry, const WorkerLoads& loads,
               const http::ReceiveBudget& held);

  TunnelMetrics tunnels;

 private:
  metrics::Reading connections_;
  metrics::Reading connections_limit_;
  metrics::Reading connections_refused_;
  metrics::Reading held_;
  metrics::Reading held_limit_;
  metrics::Reading held_refused_;
};

}  // namespace heddle::agent
