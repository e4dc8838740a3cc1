#pragma once

#include "agent/proxy/pod_context.h"

namespace heddle::agent {

class Worker;

// Serves one captured plaintext connection to the pod: its own local address is where the client
// wanted to go. Policy is asked without an identity; a denial is a reset. The application sees the
// client's address.
Task<void> ServeInboundPlaintext(Worker& worker, PodContext& pod, Incoming incoming);

}  // namespace heddle::agent
