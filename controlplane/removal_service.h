#pragma once

#include <map>
#include <optional>
#include <string>

#include "controlplane/mesh.h"
#include "lib/grpc/server_call.h"
#include "lib/io/loop.h"
#include "proto/node.pb.h"

namespace heddle::controlplane {

// heddle.node.v1.NodeRemoval/Follow: tells each node whether to let go of the mesh, and hears how far
// it is. The node is the one that its token proves. One loop's.
class RemovalService {
 public:
  static constexpr char kMethod[] = "/heddle.node.v1.NodeRemoval/Follow";

  RemovalService(io::Loop& loop, Mesh& mesh) : loop_(loop), mesh_(mesh) {}

  // A stream of this node, until it ends.
  Task<absl::Status> Serve(grpc::ServerCall& call, const std::string& node);

 private:
  struct Session;
  bool IsNewest(const Session& session) const;
  Task<absl::Status> Receive(Session& session);
  Task<void> Send(Session& session);
  // Empty: it stays as it is.
  std::optional<node::v1::RemovalOrder> Order() const;

  io::Loop& loop_;
  Mesh& mesh_;
  // Of each node the newest stream counts.
  std::map<std::string, const Session*> newest_;
};

}  // namespace heddle::controlplane
