#include "controlplane/capture_reports.h"

#include <utility>

namespace heddle::controlplane {

void CaptureReports::Restore(const translate::CapturedPods& captured) {
  for (const auto& [node, uids] : captured) {
    nodes_[node] = {};
    SetCaptured(node, uids);
  }
}

CaptureReports::StreamId CaptureReports::Open(const std::string& node) {
  Node& state = nodes_[node];
  state.stream = ++last_stream_;
  state.connected = true;
  state.reported = false;
  return state.stream;
}

bool CaptureReports::Report(const std::string& node, StreamId stream, std::vector<ReportedPod> pods,
                            std::map<std::string, std::string> problems) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.stream != stream) return false;
  Node& state = found->second;
  CaptureSummary summary{.problems = std::move(problems)};
  for (const ReportedPod& pod : pods) summary.captured.insert(pod.uid);
  state.pods = std::move(pods);
  state.reported = true;
  state.shared.reset();
  Take(node, state, std::move(summary));
  if (on_report_) on_report_(node);
  return true;
}

void CaptureReports::Share(const std::string& node, CaptureSummary summary) {
  Node& state = nodes_[node];
  state.told = true;
  if (state.connected && state.reported) {
    state.shared = std::move(summary);
  } else {
    Take(node, state, std::move(summary));
  }
}

void CaptureReports::ShareOwn(const std::string& node) {
  Node& state = nodes_[node];
  state.told = true;
  state.shared.reset();
}

void CaptureReports::Unshare(const std::string& node) {
  const auto found = nodes_.find(node);
  if (found != nodes_.end()) found->second.told = false;
}

void CaptureReports::Close(const std::string& node, StreamId stream) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.stream != stream) return;
  Node& state = found->second;
  state.connected = false;
  if (state.shared.has_value()) Take(node, state, *std::exchange(state.shared, std::nullopt));
}

void CaptureReports::Take(const std::string& node, Node& state, CaptureSummary summary) {
  // Of what others have heard, only uids are known.
  std::erase_if(state.pods,
                [&](const ReportedPod& pod) { return !summary.captured.contains(pod.uid); });
  state.problems = std::move(summary.problems);
  SetCaptured(node, std::move(summary.captured));
}

CaptureSummary CaptureReports::SummaryOf(const std::string& node) const {
  CaptureSummary summary;
  if (const auto found = captured_.find(node); found != captured_.end())
    summary.captured = found->second;
  if (const auto found = nodes_.find(node); found != nodes_.end())
    summary.problems = found->second.problems;
  return summary;
}

const std::string* CaptureReports::ProblemOf(const std::string& node,
                                             const std::string& uid) const {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return nullptr;
  const auto problem = found->second.problems.find(uid);
  return problem == found->second.problems.end() ? nullptr : &problem->second;
}

bool CaptureReports::Hears(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found != nodes_.end() && found->second.connected && found->second.reported;
}

void CaptureReports::Retain(const std::set<std::string>& known) {
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const auto here = it++;
    if (here->second.connected || here->second.told || known.contains(here->first)) continue;
    SetCaptured(here->first, {});
    nodes_.erase(here);
  }
}

void CaptureReports::SetCaptured(const std::string& node, std::set<std::string> uids) {
  const auto found = captured_.find(node);
  const bool same = found == captured_.end() ? uids.empty() : found->second == uids;
  if (same) return;
  ++generation_;
  changed_.insert(node);
  if (uids.empty()) {
    captured_.erase(node);
  } else {
    captured_[node] = std::move(uids);
  }
}

translate::CapturedPods CaptureReports::TakeChanges() {
  translate::CapturedPods changes;
  for (const std::string& node : std::exchange(changed_, {})) {
    const auto found = captured_.find(node);
    changes[node] = found == captured_.end() ? std::set<std::string>() : found->second;
  }
  return changes;
}

std::vector<ReportedPod> CaptureReports::PodsOf(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? std::vector<ReportedPod>() : found->second.pods;
}

}  // namespace heddle::controlplane
