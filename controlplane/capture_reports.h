#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/translate/translate.h"
#include "lib/io/address.h"

namespace heddle::controlplane {

// A pod that a node's agent says it has captured.
struct ReportedPod {
  std::string uid;
  std::string name_space;
  std::string name;
  std::vector<io::IpAddress> addresses;
  std::string how;
  absl::Time captured_since;
};

// A node's report as far as controllers tell it each other. Values; by uid of the pod.
struct CaptureSummary {
  std::set<std::string> captured;
  // What is missing in a captured pod, or why one is not captured, in the agent's words.
  std::map<std::string, std::string> problems;
  bool operator==(const CaptureSummary&) const = default;
};

// What each node has reported last: to this controller, which counts while the stream is open, or to
// another one. Believes everything: whether a pod is bound to the node is the
// translation's to check, which sees the objects. Pure; one thread's.
class CaptureReports {
 public:
  using StreamId = uint64_t;

  // What was captured when the controller last ran.
  void Restore(const translate::CapturedPods& captured);

  // A stream of the node has begun: what its older streams say from now on is not heard.
  StreamId Open(const std::string& node);
  // The full list of the node's captured pods, and what is missing, as in CaptureSummary. False when
  // the stream is not the node's newest.
  bool Report(const std::string& node, StreamId stream, std::vector<ReportedPod> pods,
              std::map<std::string, std::string> problems = {});
  // What the node has reported to another controller. Nothing is believed of it while the node
  // reports to this one, until that ends without another report.
  void Share(const std::string& node, CaptureSummary summary);
  // What is told of the node are this controller's own words again: what another one has said of it
  // no longer stands anywhere.
  void ShareOwn(const std::string& node);
  // Nobody tells of the node any more: it can be forgotten.
  void Unshare(const std::string& node);
  // The stream has ended. The node's list stays as it is: a captured pod stays captured while its
  // agent is away, and calling it plain would make its peers send plaintext.
  void Close(const std::string& node, StreamId stream);
  // Forgets the nodes that are neither known to the cluster nor connected, and of whom no other
  // controller tells.
  void Retain(const std::set<std::string>& known);

  const translate::CapturedPods& captured() const { return captured_; }
  // The nodes that captured() says something else of since the last call, each with its whole set.
  translate::CapturedPods TakeChanges();
  // Grows whenever captured() has changed.
  uint64_t generation() const { return generation_; }
  // What is in effect of a node; nothing when nobody has heard of it.
  CaptureSummary SummaryOf(const std::string& node) const;
  // Null when nothing is known to be missing.
  const std::string* ProblemOf(const std::string& node, const std::string& uid) const;
  // The node has a stream here, and has reported on it.
  bool Hears(const std::string& node) const;
  // Called with the node's name after each report to this controller.
  void OnReport(absl::AnyInvocable<void(const std::string& node)> listener) {
    on_report_ = std::move(listener);
  }
  // Empty when the node has reported nothing.
  std::vector<ReportedPod> PodsOf(const std::string& node) const;

 private:
  struct Node {
    StreamId stream = 0;
    bool connected = false;
    bool reported = false;  // On this stream.
    std::vector<ReportedPod> pods;
    std::map<std::string, std::string> problems;
    bool told = false;                     // By Share().
    std::optional<CaptureSummary> shared;  // Came while the stream was open, after its last report.
  };
  void Take(const std::string& node, Node& state, CaptureSummary summary);
  void SetCaptured(const std::string& node, std::set<std::string> uids);

  std::map<std::string, Node> nodes_;
  translate::CapturedPods captured_;
  std::set<std::string> changed_;  // Nodes, since TakeChanges().
  StreamId last_stream_ = 0;
  uint64_t generation_ = 0;
  absl::AnyInvocable<void(const std::string& node)> on_report_;
};

}  // namespace heddle::controlplane
