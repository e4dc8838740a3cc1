#pragma once

#include <absl/functional/any_invocable.h>
#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "lib/grpc/standing_call.h"

namespace heddle::agent {

// What the controller wants of this node.
struct RemovalOrder {
  bool leave = false;
  absl::Duration drain;
  bool operator==(const RemovalOrder&) const = default;
};

// How far the node is.
struct RemovalReport {
  bool gone = false;
  std::string note;
  bool operator==(const RemovalReport&) const = default;
};

// Hears from the controller whether the mesh is to leave this node, and tells it how far that is
// (heddle.node.v1.NodeRemoval). Only what a controller says on a stream counts: one that is away, or
// that knows nothing of removals, changes nothing. Control loop.
class RemovalFollower {
 public:
  struct Parts {
    io::Loop& loop;
    Random& random;
    grpc::Channel& channel;
    std::string node_name;
    absl::AnyInvocable<absl::StatusOr<grpc::Metadata>()> authorize;
    absl::AnyInvocable<void(const RemovalOrder&)> on_order;
  };
  explicit RemovalFollower(Parts parts);

  // Until stopped.
  Task<void> Run(StopToken stop) { return call_.Run(std::move(stop)); }
  void Report(RemovalReport report);

 private:
  std::optional<std::string> Next();
  absl::Status Ordered(const std::string& message);

  Parts parts_;
  RemovalReport report_;
  std::optional<RemovalReport> told_;  // On the call that is open.
  grpc::StandingCall call_;
};

}  // namespace heddle::agent
