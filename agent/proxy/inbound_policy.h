#pragma once

#include <memory>
#include <optional>

#include "agent/hbone/connect_request.h"
#include "agent/hbone/tunnel.h"
#include "agent/proxy/pod_context.h"
#include "agent/proxy/served_connection.h"

namespace heddle::agent {

class Worker;

// What both kinds of inbound connections do between accept and relay.

// Waits until state is complete and knows the pod's workload; empty when it does.
Task<std::optional<FailureReason>> AwaitWorkload(Worker& worker, PodContext& pod, StopToken stop);

// Asks the authorizer with the connection's facts and the current state. A denial carries its reason
// and the policy's name.
TunnelResult<void> Authorize(ServedConnection& connection);

// Writes into the record what state knows of both ends.
void DescribeInbound(ServedConnection& connection);

// Connects to the application at the connection's facts, with the client's address as source. A
// change of policy during the dial counts. `stop` ends the wait.
Task<TunnelResult<std::unique_ptr<io::Connection>>> DialLocal(ServedConnection& connection,
                                                              StopToken stop);

// Where a CONNECT request leads inside the pod. `local` is the address that the peer has reached us
// at.
struct InboundTarget {
  io::SocketAddress application;
  // Named by the authority or, if it is true, by the client's claim; nullptr: none.
  ServiceRef service;
};
// An authority that is an address must be one of the pod's; one that is a host name must be a
// service that the workload belongs to and has the port. Our own ports are never a destination.
Result<InboundTarget, FailureReason> FindInboundTarget(const State& state, const Workload& workload,
                                                       const CapturedPod& pod,
                                                       const ConnectRequest& request,
                                                       const io::IpAddress& local);

}  // namespace heddle::agent
