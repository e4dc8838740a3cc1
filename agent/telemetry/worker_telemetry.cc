#include "agent/telemetry/worker_telemetry.h"

#include <memory>

#include "agent/telemetry/traffic_labels.h"

namespace heddle::agent {
namespace {

metrics::SeriesDescription Traffic(std::string_view name, std::string_view help) {
  return {
      .name = name, .help = help, .labels = TrafficLabelNames(), .series_max = kTrafficSeriesMax};
}

}  // namespace

WorkerTelemetry::WorkerTelemetry(metrics::Registry& registry, const Clock& clock,
                                 AccessLog& access_log)
    : clock_(clock),
      access_log_(access_log),
      open_(registry, {.name = "heddle_connections_open",
                       .help = "Connections being served, from accept to end."}),
      opened_(registry, Traffic("istio_tcp_connections_opened",
                                "The total number of TCP connections opened.")),
      closed_(registry, Traffic("istio_tcp_connections_closed",
                                "The total number of TCP connections closed.")),
      received_(registry, Traffic("istio_tcp_received_bytes", "Bytes from clients to servers.")),
      sent_(registry, Traffic("istio_tcp_sent_bytes", "Bytes from servers to clients.")) {
  for (size_t i = 0; i < failed_.size(); ++i) {
    const FailureText& text = TextOf(static_cast<FailureReason>(i));
    failed_[i] = std::make_unique<metrics::Counter>(
        registry,
        metrics::Description{.name = "heddle_connections_failed",
                             .help = "Connections that were not served to their end, by reason.",
                             .labels = {{"reason", text.label}}});
  }
}

void WorkerTelemetry::Open(const ConnectionRecord& record) {
  opened_.With(TrafficLabels(record, "-").values()).Add();
}

void WorkerTelemetry::Close(const ConnectionRecord& record) {
  if (record.failure()) CountFailure(record.failure()->reason);
  if (record.opened()) {
    const TrafficLabels labels(record, record.response_flags());
    key_.Assign(labels.values());
    closed_.With(key_).Add();
    received_.With(key_).Add(record.bytes.from_client);
    sent_.With(key_).Add(record.bytes.from_server);
  }
  access_log_.Write(record);
}

}  // namespace heddle::agent
