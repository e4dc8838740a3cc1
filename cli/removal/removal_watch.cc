#include "cli/removal/removal_watch.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "lib/base/strings.h"

namespace heddle::cli {
namespace {

constexpr char kPhase[] = "phase";
constexpr std::string_view kNodePrefix = "node.";
// Of what an agent says, on a terminal; the controller keeps less.
constexpr size_t kMaxValueBytes = 512;

std::string Value(const RemovalData& data, const std::string& key) {
  const auto found = data.find(key);
  return found == data.end() ? "" : found->second;
}

std::string Quoted(std::string_view value) { return Printable(value, kMaxValueBytes); }

std::string Describe(const std::string& key, const std::string& value) {
  if (key == kPhase) {
    if (value == "relax") return "1/3 relax: no policy is in effect any more";
    if (value == "plain") return "2/3 plain: pods are announced as plain";
    if (value == "release") return "3/3 release: nodes let go of their pods";
    if (value == "gone") return "gone: nothing is captured on any node";
  }
  if (key.starts_with(kNodePrefix))
    return absl::StrCat("  node ", key.substr(kNodePrefix.size()), ": ", Quoted(value));
  return "";
}

}  // namespace

bool IsGone(const RemovalData& data) { return Value(data, kPhase) == "gone"; }

std::vector<std::string> Progress(const RemovalData& before, const RemovalData& now) {
  std::vector<std::string> lines;
  for (const auto& [key, value] : now) {
    if (before.contains(key) && Value(before, key) == value) continue;
    std::string line = Describe(key, value);
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

std::string WhatIsMissing(const RemovalData& data) {
  if (IsGone(data)) return "";
  if (!data.contains(kPhase))
    return "no controller has taken it up; is heddle-controller running, and allowed to write the "
           "ConfigMap?";
  std::vector<std::string> nodes;
  for (const auto& [key, value] : data) {
    if (key.starts_with(kNodePrefix) && value != "gone")
      nodes.push_back(absl::StrCat(key.substr(kNodePrefix.size()), " (", Quoted(value), ")"));
  }
  if (nodes.empty()) return absl::StrCat("the phase is ", Quoted(Value(data, kPhase)));
  return absl::StrCat("in the phase ", Quoted(Value(data, kPhase)),
                      " these nodes have not let go: ", absl::StrJoin(nodes, ", "));
}

}  // namespace heddle::cli
