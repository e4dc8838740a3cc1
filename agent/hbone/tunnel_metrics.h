#pragma once

#include "lib/metrics/registry.h"

namespace heddle::agent {

// What the tunnel pools of a process count together. Any thread.
struct TunnelMetrics {
  explicit TunnelMetrics(metrics::Registry& registry)
      : tunnels(registry, {.name = "heddle_tunnels",
                           .help = "HBONE tunnels to other nodes, open or being opened."}),
        attempts(registry,
                 {.name = "heddle_tunnel_attempts", .help = "Attempts to open a tunnel."}),
        retried(registry, {.name = "heddle_tunnel_requests_retried",
                           .help = "Requests that a peer refused unseen and that were sent again "
                                   "on another tunnel."}) {}

  metrics::Gauge tunnels;
  metrics::Counter attempts;
  metrics::Counter retried;
};

}  // namespace heddle::agent
