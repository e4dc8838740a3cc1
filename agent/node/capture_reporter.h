#pragma once

#include <absl/functional/any_invocable.h>

#include <vector>

#include "agent/node/pod_registry.h"
#include "lib/base/random.h"
#include "lib/base/wait_queue.h"
#include "lib/grpc/channel.h"
#include "lib/io/loop.h"

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
  explicit CaptureReporter(Parts parts) : parts_(std::move(parts)), changed_(parts_.loop) {}

  // Until stopped.
  Task<void> Run(StopToken stop);
  // The list has changed.
  void Notify() {
    ++generation_;
    changed_.NotifyAll();
  }

 private:
  struct Stream;
  Task<absl::Status> ServeStream(StopToken stop);
  Task<void> SendReports(Stream& stream, StopToken stop);
  Task<void> ReadAcks(Stream& stream);
  std::string Report(uint64_t sequence);

  Parts parts_;
  WaitQueue changed_;
  uint64_t generation_ = 0;
};

}  // namespace heddle::agent
