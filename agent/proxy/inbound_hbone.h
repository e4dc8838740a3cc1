#pragma once

#include "agent/proxy/pod_context.h"

namespace heddle::agent {

class Worker;

// Serves one connection to the pod's port 15008 and all its streams: mutual TLS with the pod's
// certificate, HTTP/2, and for each CONNECT the checks of the authority and of policy, the dial to
// the application with the client's address as source, the answer, and the relay. Whatever a peer
// sends ends its connection at most.
Task<void> ServeInboundHbone(Worker& worker, PodContext& pod, Incoming incoming);

}  // namespace heddle::agent
