#include "controlplane/pod_conditions.h"

#include <absl/strings/str_cat.h>

namespace heddle::controlplane {
namespace {

status::Condition Captured(bool holds, const char* reason, std::string message) {
  return {
      .type = status::kCaptured, .holds = holds, .reason = reason, .message = std::move(message)};
}

}  // namespace

std::optional<status::Condition> PodConditions::Of(const status::PodVerdict& pod,
                                                   const std::string* problem, MonotonicTime now) {
  if (pod.captured && problem == nullptr) return Captured(true, "Captured", "");
  if (problem != nullptr)
    return Captured(false, pod.captured ? "Incomplete" : "NotCaptured", *problem);
  Unreported& unreported = unreported_.try_emplace(pod.uid, Unreported{.since = now}).first->second;
  unreported.round = round_;
  if (now - unreported.since < kReportPatience) {
    waiting_ = round_;
    return std::nullopt;
  }
  return Captured(false, "NotReported",
                  absl::StrCat("the agent of node ", pod.node,
                               " has not reported this pod: does one run there?"));
}

void PodConditions::End() {
  absl::erase_if(unreported_, [this](const auto& each) { return each.second.round != round_; });
}

}  // namespace heddle::controlplane
