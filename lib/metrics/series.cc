#include "lib/metrics/series.h"

#include "lib/base/check.h"

namespace heddle::metrics {

CounterSeries::CounterSeries(Registry& registry, const SeriesDescription& description)
    : Metric(registry, Type::kCounter, description.name, description.help),
      label_names_(description.labels.begin(), description.labels.end()),
      series_max_(description.series_max) {
  Register();
}

// The values alone, as they are: the text with its escapes is made once for a series, this for every count.
void SeriesKey::Assign(std::span<const std::string_view> values) {
  values_ = values;
  text_.clear();
  for (const std::string_view value : values) {
    const auto size = static_cast<uint32_t>(value.size());
    text_.append(reinterpret_cast<const char*>(&size), sizeof(size)).append(value);
  }
  hash_ = absl::flat_hash_map<std::string, SeriesCell*>::hasher()(text_);
}

SeriesCell& CounterSeries::With(const SeriesKey& key) {
  const std::span<const std::string_view> values = key.values_;
  CHECK(values.size() == label_names_.size());
  if (const auto found = index_.find(key.text_, key.hash_); found != index_.end()) return *found->second;
  if (index_.size() < series_max_) {
    std::string labels;
    for (size_t i = 0; i < values.size(); ++i) {
      if (!values[i].empty()) AppendLabel(label_names_[i], values[i], labels);
    }
    SeriesCell& cell = Publish(std::move(labels));
    index_.emplace(key.text_, &cell);
    return cell;
  }
  registry_.folded().Add();
  if (other_ == nullptr) {
    std::string labels;
    for (const std::string& name : label_names_) AppendLabel(name, "other", labels);
    other_ = &Publish(std::move(labels));
  }
  return *other_;
}

SeriesCell& CounterSeries::Publish(std::string labels) {
  SeriesCell& cell = cells_.emplace_back(std::move(labels));
  // Release: whoever finds the cell through the list finds its labels as well.
  (last_ == nullptr ? first_ : last_->next_).store(&cell, std::memory_order_release);
  last_ = &cell;
  return cell;
}

void CounterSeries::Visit(Visitor visit) const {
  for (const SeriesCell* cell = first_.load(std::memory_order_acquire); cell != nullptr;
       cell = cell->next_.load(std::memory_order_acquire)) {
    visit(cell->labels_, cell->value());
  }
}

}  // namespace heddle::metrics
