#pragma once

#include <absl/functional/any_invocable.h>

#include <optional>
#include <string>
#include <vector>

#include "agent/node/pod_registry.h"
#include "lib/grpc/standing_call.h"

namespace heddle::agent {

// Tells the controller which pods are captured on this node (heddle.node.v1.CaptureReports): always
// the full list, whenever it changes and at the start of each stream. Only then are they announced
// to others as reachable by HBONE. A captured pod in which something is missing stays in the list:
// without it others would send to it in plaintext, past what is missing. What is missing is told
// as well, and which pods are not captured and why: the controller shows it to people. A stream that ends is
// replaced at once. Control loop.
class CaptureReporter {
 public:
  struct Parts {
    io::Loop& loop;
    Random& random;
    grpc::Channel& channel;
    std::string node_name;
    absl::AnyInvocable<absl::StatusOr<grpc::Metadata>()> authorize;
    absl::AnyInvocable<std::vector<PodStatus>()> list;
    absl::AnyInvocable<std::vector<UncapturedPod>()> uncaptured;
  };
  explicit CaptureReporter(Parts parts);

  // Until stopped.
  Task<void> Run(StopToken stop) { return call_.Run(std::move(stop)); }
  // The list has changed.
  void Notify() {
    ++generation_;
    call_.Notify();
  }

 private:
  std::optional<std::string> Next();
  absl::Status Acknowledged(const std::string& message);
  std::string Report(uint64_t sequence);

  Parts parts_;
  uint64_t generation_ = 0;    // Of the list.
  uint64_t reported_ = 0;      // The generation in the last report.
  uint64_t sent_ = 0;          // Reports, on the call that is open.
  uint64_t acknowledged_ = 0;  // Of these.
  grpc::StandingCall call_;
};

}  // namespace heddle::agent
