#pragma once

#include <cstddef>
#include <string>

#include "controlplane/mesh.h"
#include "lib/grpc/server_call.h"
#include "proto/node.pb.h"

namespace heddle::controlplane {

// Most pods in one report: several times what a node can run (kubelet's own limit is 110 by
// default).
inline constexpr size_t kMaxReportedPods = 4096;
// Of what an agent says is missing in a pod. As many pods as may be reported then fit into one
// ConfigMap of 1 MiB.
inline constexpr size_t kMaxProblemBytes = 160;

// heddle.node.v1.CaptureReports/Report: full lists up, acknowledgements down. A pod that is not
// bound to the reporting node is refused in the acknowledgement and believed nowhere. One loop's.
class CaptureService {
 public:
  static constexpr char kMethod[] = "/heddle.node.v1.CaptureReports/Report";

  explicit CaptureService(Mesh& mesh) : mesh_(mesh) {}

  // A stream of this node, until it ends.
  Task<absl::Status> Serve(grpc::ServerCall& call, const std::string& node);

 private:
  Task<absl::Status> Receive(grpc::ServerCall& call, const std::string& node,
                             CaptureReports::StreamId stream);
  absl::StatusOr<node::v1::CaptureAck> Take(const std::string& message, const std::string& node,
                                            CaptureReports::StreamId stream);

  Mesh& mesh_;
};

}  // namespace heddle::controlplane
