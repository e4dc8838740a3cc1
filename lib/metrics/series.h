#pragma once

#include <absl/container/flat_hash_map.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/metrics/registry.h"

namespace heddle::metrics {

// One time series of a CounterSeries. Stays where it is as long as its family lives.
class SeriesCell {
 public:
  explicit SeriesCell(std::string labels) : labels_(std::move(labels)) {}
  void Add(uint64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  friend class CounterSeries;
  const std::string labels_;
  std::atomic<uint64_t> value_ = 0;
  std::atomic<const SeriesCell*> next_ = nullptr;
};

// The label values of one series, one for each label name in their order, as CounterSeries looks them up: made once
// where several families with the same labels count. The values live as long as it is used.
class SeriesKey {
 public:
  // Empty, and to be assigned; kept for its memory.
  SeriesKey() = default;
  void Assign(std::span<const std::string_view> values);

 private:
  friend class CounterSeries;
  std::span<const std::string_view> values_;
  std::string text_;  // The values, each with its length.
  size_t hash_ = 0;
};

struct SeriesDescription {
  std::string_view name;
  std::string_view help;
  std::vector<std::string_view> labels;  // Names; the values come with each series.
  size_t series_max;                     // More label sets than this are counted as "other" in every label.
};

// Counters that differ in label values. One per worker: With() belongs to one thread (the same for the object's
// life), while another may expose; no lock is taken by either. A label set stays once it was used.
class CounterSeries final : public Metric {
 public:
  CounterSeries(Registry& registry, const SeriesDescription& description);
  ~CounterSeries() override { Unregister(); }

  // The series of these values, one for each label name, in their order. An empty value leaves its label out, which
  // is what Prometheus takes it for. Allocates only for a new series.
  SeriesCell& With(const SeriesKey& key);
  SeriesCell& With(std::span<const std::string_view> values) {
    key_.Assign(values);
    return With(key_);
  }

 private:
  void Visit(Visitor visit) const override;
  SeriesCell& Publish(std::string labels);

  const std::vector<std::string> label_names_;
  const size_t series_max_;
  SeriesKey key_;  // Built anew for each list of values.
  std::deque<SeriesCell> cells_;
  absl::flat_hash_map<std::string, SeriesCell*> index_;  // By the text of its key.
  SeriesCell* other_ = nullptr;
  SeriesCell* last_ = nullptr;
  std::atomic<const SeriesCell*> first_ = nullptr;  // The exposing thread walks from here.
};

}  // namespace heddle::metrics
