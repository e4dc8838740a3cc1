#include "agent/proxy/proxy_metrics.h"

namespace heddle::agent {

using metrics::Type;

ProxyMetrics::ProxyMetrics(metrics::Registry& registry, const WorkerLoads& loads,
                           const http::WindowBudget& windows)
    : tunnels(registry),
      connections_(registry, Type::kGauge,
                   {.name = "heddle_connection_places",
                    .help = "Connections and streams that count against the process's limit."},
                   [&loads] { return loads.total(); }),
      connections_limit_(registry, Type::kGauge,
                         {.name = "heddle_connection_places_limit",
                          .help = "The limit on heddle_connection_places."},
                         [&loads] { return loads.limit(); }),
      connections_refused_(registry, Type::kCounter,
                           {.name = "heddle_connection_places_refused",
                            .help = "Connections and streams refused because of that limit."},
                           [&loads] { return loads.refused_total(); }),
      windows_(registry, Type::kGauge,
               {.name = "heddle_window_bytes",
                .help = "Flow control windows promised to HTTP/2 peers: memory that they can make "
                        "this process hold."},
               [&windows] { return windows.used(); }),
      windows_limit_(
          registry, Type::kGauge,
          {.name = "heddle_window_bytes_limit", .help = "The limit on heddle_window_bytes."},
          [&windows] { return windows.limit(); }),
      windows_refused_(registry, Type::kCounter,
                       {.name = "heddle_window_refused",
                        .help = "Windows that were not granted because of that limit."},
                       [&windows] { return windows.refused_total(); }) {}

}  // namespace heddle::agent
