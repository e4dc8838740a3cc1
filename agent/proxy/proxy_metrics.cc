#include "agent/proxy/proxy_metrics.h"

namespace heddle::agent {

using metrics::Type;

ProxyMetrics::ProxyMetrics(metrics::Registry& registry, const WorkerLoads& loads,
                           const http::ReceiveBudget& held)
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
      held_(registry, Type::kGauge,
            {.name = "heddle_held_bytes",
             .help = "Bytes of HTTP/2 peers that wait for readers which do not take them."},
            [&held] { return held.used(); }),
      held_limit_(registry, Type::kGauge,
                  {.name = "heddle_held_bytes_limit", .help = "The limit on heddle_held_bytes."},
                  [&held] { return held.limit(); }),
      held_refused_(registry, Type::kCounter,
                    {.name = "heddle_held_bytes_refused",
                     .help = "Streams that were reset because of that limit."},
                    [&held] { return held.refused_total(); }) {}

}  // namespace heddle::agent
