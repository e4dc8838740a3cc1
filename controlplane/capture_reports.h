#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>
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

// What each node has reported last. Believes everything: whether a pod is bound to the node is the
// translation's to check, which sees the objects. Pure; one thread's.
class CaptureReports {
 public:
  using StreamId = uint64_t;

  // What was captured when the controller last ran.
  void Restore(const translate::CapturedPods& captured);

  // A stream of the node has begun: what its older streams say from now on is not heard.
  StreamId Open(const std::string& node);
  // The full list of the node's captured pods. False when the stream is not the node's newest.
  bool Report(const std::string& node, StreamId stream, std::vector<ReportedPod> pods);
  // The stream has ended. The node's list stays as it is: a captured pod stays captured while its
  // agent is away, and calling it plain would make its peers send plaintext.
  void Close(const std::string& node, StreamId stream);
  // Forgets the nodes that are neither known to the cluster nor connected.
  void Retain(const std::set<std::string>& known);

  const translate::CapturedPods& captured() const { return captured_; }
  // Grows whenever captured() has changed.
  uint64_t generation() const { return generation_; }
  // Empty when the node has reported nothing.
  std::vector<ReportedPod> PodsOf(const std::string& node) const;

 private:
  struct Node {
    StreamId stream = 0;
    bool connected = false;
    std::vector<ReportedPod> pods;
  };
  void SetCaptured(const std::string& node, std::set<std::string> uids);

  std::map<std::string, Node> nodes_;
  translate::CapturedPods captured_;
  StreamId last_stream_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace heddle::controlplane
