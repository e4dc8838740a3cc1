#pragma once

#include <cstddef>
#include <map>
#include <string>

#include "controlplane/mesh.h"
#include "controlplane/xds/delta_subscriber.h"
#include "lib/base/wait_queue.h"
#include "lib/grpc/server_call.h"
#include "lib/io/loop.h"
#include "lib/metrics/registry.h"

namespace heddle::controlplane {

// envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources: one subscriber per
// stream, who is the node that its token proves. A change goes out at once; while a response is under
// way, further changes gather. One loop's.
class DiscoveryService {
 public:
  static constexpr char kMethod[] =
      "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

  DiscoveryService(io::Loop& loop, Mesh& mesh, metrics::Registry& registry);

  // A stream of this node, until it ends.
  Task<absl::Status> Serve(grpc::ServerCall& call, const std::string& node);
  struct ConnectedNode {
    size_t streams = 0;
    std::string agent_version;  // In its own words; empty when it does not say.
  };
  // Nodes with a stream.
  const std::map<std::string, ConnectedNode>& connected() const { return connected_; }

 private:
  struct Session;
  Task<absl::Status> Receive(Session& session);
  Task<void> Send(Session& session);
  Task<absl::Status> SendInTurn(grpc::ServerCall& call, xds::DeltaResponse& response);
  void Enter(const std::string& node);
  void Leave(const std::string& node);

  io::Loop& loop_;
  Mesh& mesh_;
  std::map<std::string, ConnectedNode> connected_;
  size_t large_under_way_ = 0;
  WaitQueue large_ended_;
  metrics::Gauge streams_;
  metrics::Counter responses_;
  metrics::Counter resources_;
  metrics::Counter refusals_;
};

}  // namespace heddle::controlplane
