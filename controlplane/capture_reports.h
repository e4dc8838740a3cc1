#pragma once

#include <absl/time/time.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/translate/translate.h"
#include "lib/base/clock.h"
#include "lib/io/address.h"

namespace heddle::controlplane {

// How long a node's report counts after its stream has gone. A restart of an agent, or of the
// network between, takes seconds; without this, each would turn the node's pods from HBONE to plain
// and back.
inline constexpr absl::Duration kCaptureGrace = absl::Seconds(30);

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

  // What was captured when the controller last ran: each node has kCaptureGrace to come back.
  void Restore(const translate::CapturedPods& captured, MonotonicTime now);

  // A stream of the node has begun: what its older streams say from now on is not heard.
  StreamId Open(const std::string& node);
  // The full list of the node's captured pods. False when the stream is not the node's newest.
  bool Report(const std::string& node, StreamId stream, std::vector<ReportedPod> pods);
  // The stream has ended. If it was the newest, the node's list is forgotten after kCaptureGrace.
  void Close(const std::string& node, StreamId stream, MonotonicTime now);
  // Forgets the lists whose time has come.
  void Expire(MonotonicTime now);

  const translate::CapturedPods& captured() const { return captured_; }
  // Grows whenever captured() has changed.
  uint64_t generation() const { return generation_; }
  // Empty when the node has reported nothing.
  std::vector<ReportedPod> PodsOf(const std::string& node) const;

 private:
  struct Node {
    StreamId stream = 0;
    std::vector<ReportedPod> pods;
    std::optional<MonotonicTime> gone_since;
  };
  void SetCaptured(const std::string& node, std::set<std::string> uids);

  std::map<std::string, Node> nodes_;
  translate::CapturedPods captured_;
  StreamId last_stream_ = 0;
  uint64_t generation_ = 0;
};

}  // namespace heddle::controlplane
