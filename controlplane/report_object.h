#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <string_view>

#include "controlplane/capture_reports.h"
#include "lib/kube/object.h"

namespace heddle::controlplane {

// What a node has reported, as the ConfigMap that controllers tell it each other by:
//
//   metadata: {name: heddle-captured-<node>, labels: {heddle.io/capture-report: "true"}}
//   data:
//     node: <name of the node>
//     heardBy: <the controller that the node reports to>
//     report: '{"captured": ["<uid>", ...], "problems": {"<uid>": "<sentence>", ...}}'
//
// Pure values. The name of a node that is too long for this ends in a hash of it.
struct ReportObject {
  std::string node;
  std::string heard_by;
  CaptureSummary summary;
};

inline constexpr char kReportLabel[] = "heddle.io/capture-report";

std::string ReportObjectName(std::string_view node);
// The whole object, for a server-side apply.
std::string ToJson(const ReportObject& report, const std::string& name_space);
// The error is a sentence: not one of these, or not what its name says.
absl::StatusOr<ReportObject> ParseReportObject(const kube::RawObject& object);

}  // namespace heddle::controlplane
