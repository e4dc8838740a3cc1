#pragma once

#include <array>

#include "agent/model/failure.h"
#include "agent/telemetry/access_log.h"
#include "agent/telemetry/connection_record.h"
#include "lib/base/clock.h"
#include "lib/metrics/series.h"

namespace heddle::agent {

// Label sets of one traffic metric and worker; beyond it they are counted as "other". A node talks
// to a few thousand distinct pairs of workloads at most.
inline constexpr size_t kTrafficSeriesMax = 10'000;

// What one worker counts about connections, with Istio's standard metrics and labels
// (ambient-wire.md sections 7.2 and 7.3). Made before its worker, destroyed after it; counting
// belongs to the worker's loop, exposing to any thread.
class WorkerTelemetry {
 public:
  // All of it outlives this.
  WorkerTelemetry(metrics::Registry& registry, const Clock& clock, AccessLog& access_log);

  const Clock& clock() const { return clock_; }
  // For connections that end before there is a record of them (limits); records count their own.
  void CountFailure(FailureReason reason) { failed_[static_cast<size_t>(reason)]->Add(); }
  uint64_t failures(FailureReason reason) const {
    return failed_[static_cast<size_t>(reason)]->value();
  }

 private:
  friend class ConnectionRecord;
  void Open(const ConnectionRecord& record);
  void Close(const ConnectionRecord& record);

  const Clock& clock_;
  AccessLog& access_log_;
  metrics::Gauge open_;
  metrics::CounterSeries opened_;
  metrics::CounterSeries closed_;
  metrics::CounterSeries received_;
  metrics::CounterSeries sent_;
  metrics::SeriesKey key_;  // Of the record that is being closed.
  std::array<std::unique_ptr<metrics::Counter>, static_cast<size_t>(FailureReason::kCount)> failed_;
};

}  // namespace heddle::agent
