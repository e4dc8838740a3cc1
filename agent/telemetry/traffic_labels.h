#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "agent/telemetry/connection_record.h"

namespace heddle::agent {

// The names of the labels of Istio's TCP metrics, in exposition order (ambient-wire.md section
// 7.3).
std::vector<std::string_view> TrafficLabelNames();

// The values for one connection, in that order; "unknown" where nothing is known. Localities are
// empty when not set, which leaves their labels out. The views live as long as this and the record,
// unchanged.
class TrafficLabels {
 public:
  TrafficLabels(const ConnectionRecord& record, std::string_view response_flags);
  const std::vector<std::string_view>& values() const { return values_; }

 private:
  void Add(std::string_view value) { values_.push_back(value.empty() ? "unknown" : value); }
  void AddSource(const ConnectionRecord& record);
  void AddDestination(const ConnectionRecord& record);
  void AddLocality(const ConnectionRecord& record);
  std::vector<std::string_view> values_;
};

}  // namespace heddle::agent
