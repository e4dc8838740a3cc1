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
  return state.stream;
}

bool CaptureReports::Report(const std::string& node, StreamId stream,
                            std::vector<ReportedPod> pods) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end() || found->second.stream != stream) return false;
  std::set<std::string> uids;
  for (const ReportedPod& pod : pods) uids.insert(pod.uid);
  found->second.pods = std::move(pods);
  SetCaptured(node, std::move(uids));
  return true;
}

void CaptureReports::Close(const std::string& node, StreamId stream) {
  const auto found = nodes_.find(node);
  if (found != nodes_.end() && found->second.stream == stream) found->second.connected = false;
}

void CaptureReports::Retain(const std::set<std::string>& known) {
  for (auto it = nodes_.begin(); it != nodes_.end();) {
    const auto here = it++;
    if (here->second.connected || known.contains(here->first)) continue;
    SetCaptured(here->first, {});
    nodes_.erase(here);
  }
}

void CaptureReports::SetCaptured(const std::string& node, std::set<std::string> uids) {
  const auto found = captured_.find(node);
  const bool same = found == captured_.end() ? uids.empty() : found->second == uids;
  if (same) return;
  ++generation_;
  if (uids.empty()) {
    captured_.erase(node);
  } else {
    captured_[node] = std::move(uids);
  }
}

std::vector<ReportedPod> CaptureReports::PodsOf(const std::string& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? std::vector<ReportedPod>() : found->second.pods;
}

}  // namespace heddle::controlplane
