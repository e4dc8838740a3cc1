#include "controlplane/report_object.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "controlplane/capture_service.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"

namespace heddle::controlplane {
namespace {

using Json = nlohmann::json;

constexpr std::string_view kPrefix = "heddle-captured-";
constexpr size_t kMaxNameBytes = 253;  // Of a ConfigMap's name, as of a node's.
constexpr size_t kHashDigits = 16;

// FNV-1a: the same in all controllers of all versions. Two nodes with one hash would be refused by
// the name inside.
uint64_t HashOf(std::string_view text) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 0x100000001b3;
  return hash;
}

absl::Status Malformed(const std::string& what) { return absl::InvalidArgumentError(what); }

absl::StatusOr<std::string> Text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_string()) return Malformed(absl::StrCat("has no ", key));
  return found->get<std::string>();
}

absl::StatusOr<CaptureSummary> ParseSummary(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("captured") || !json["captured"].is_array())
    return Malformed("report: is not an object with a list 'captured'");
  const Json problems = json.value("problems", Json::object());
  if (!problems.is_object()) return Malformed("report.problems: is not an object");
  if (json["captured"].size() > kMaxReportedPods || problems.size() > kMaxReportedPods)
    return Malformed(absl::StrCat("report: has more than ", kMaxReportedPods, " pods"));
  CaptureSummary summary;
  for (const Json& uid : json["captured"]) {
    if (!uid.is_string()) return Malformed("report.captured: has what is no uid");
    summary.captured.insert(uid.get<std::string>());
  }
  for (const auto& [uid, problem] : problems.items()) {
    if (!problem.is_string()) return Malformed("report.problems: has what is no sentence");
    summary.problems[uid] = problem.get<std::string>().substr(0, kMaxProblemBytes);
  }
  return summary;
}

}  // namespace

std::string ReportObjectName(std::string_view node) {
  if (kPrefix.size() + node.size() <= kMaxNameBytes)
    return absl::StrCat(ToAbsl(kPrefix), ToAbsl(node));
  // What stands before the hash ends in no dot or hyphen, which a name may not have side by side.
  const std::string_view kept = node.substr(0, kMaxNameBytes - kPrefix.size() - 1 - kHashDigits);
  const size_t end = kept.find_last_not_of(".-");
  return absl::StrCat(ToAbsl(kPrefix), ToAbsl(kept.substr(0, end + 1)),
                      absl::StrFormat("-%016x", HashOf(node)));
}

std::string ToJson(const ReportObject& report, const std::string& name_space) {
  const Json summary = {{"captured", report.summary.captured},
                        {"problems", report.summary.problems}};
  const auto dump = [](const Json& json) {
    // A uid that an agent reports is bytes to us, which need not be UTF-8.
    return json.dump(-1, ' ', false, Json::error_handler_t::replace);
  };
  return dump(
      {{"apiVersion", "v1"},
       {"kind", "ConfigMap"},
       {"metadata",
        {{"name", ReportObjectName(report.node)},
         {"namespace", name_space},
         {"labels", {{kReportLabel, "true"}, {"app.kubernetes.io/part-of", "heddle"}}}}},
       {"data", {{"node", report.node}, {"heardBy", report.heard_by}, {"report", dump(summary)}}}});
}

absl::StatusOr<ReportObject> ParseReportObject(const kube::RawObject& object) {
  const Json json = Json::parse(object.json, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("data") || !json["data"].is_object())
    return Malformed("has no data");
  const Json& data = json["data"];
  ReportObject report;
  TRY_ASSIGN(report.node, Text(data, "node"));
  TRY_ASSIGN(report.heard_by, Text(data, "heardBy"));
  if (report.node.empty() || ReportObjectName(report.node) != object.name.name)
    return Malformed(
        absl::StrCat("its node '", report.node, "' is not the one that its name says"));
  TRY_ASSIGN(const std::string text, Text(data, "report"));
  TRY_ASSIGN(report.summary, ParseSummary(text));
  return report;
}

}  // namespace heddle::controlplane
