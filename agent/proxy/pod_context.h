#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "agent/hbone/tunnel_pool.h"
#include "agent/model/failure.h"
#include "agent/model/id.h"
#include "agent/proxy/worker_loads.h"
#include "agent/seams/pod_network.h"
#include "lib/base/scope.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

// A connection on its way from the listener to the worker that will serve it.
struct Incoming {
  std::unique_ptr<io::AcceptedConnection> accepted;
  ConnectionPlace place;
};

// What one worker has of one captured pod: its tunnels, its accept loops and its connections. Made
// and destroyed by the Worker, after everything in it has ended.
struct PodContext {
  PodContext(io::Loop& loop, std::shared_ptr<PodNetwork> pod_network, const TunnelOptions& options)
      : network(std::move(pod_network)),
        workload(network->pod().workload_uid),
        identity(IdentityOf(network->pod())),
        tunnels(loop, *network, options),
        listeners(loop),
        connections(loop) {}

  // Of the pod's record, never of its address. Empty when the record cannot be an identity: then
  // nothing that needs one works.
  static std::optional<tls::SpiffeId> IdentityOf(const CapturedPod& pod) {
    auto id = tls::SpiffeId::Create(pod.trust_domain, pod.namespace_name, pod.service_account);
    return id.ok() ? std::optional(*std::move(id)) : std::nullopt;
  }
  const CapturedPod& pod() const { return network->pod(); }

  const std::shared_ptr<PodNetwork> network;
  const WorkloadUid workload;
  const std::optional<tls::SpiffeId> identity;
  // What the end of `connections` means for those that it ends.
  FailureReason end_reason = FailureReason::kPodReleased;
  StopSource accepting;  // Stopped: no new connections and no new streams; what there is may go on.
  TunnelPool tunnels;
  Scope listeners;
  Scope connections;
};

}  // namespace heddle::agent
