#pragma once

#include "agent/proxy/pod_context.h"

namespace heddle::agent {

class Worker;

// Serves one connection of the pod's application, from accept to end: asks where it wanted to go,
// decides the next hop, joins a tunnel or dials plain TCP from inside the pod, and relays. A dial
// that fails or is denied is a reset to the application, never an orderly end. Nothing that the
// mesh can reach by HBONE ever goes out in plaintext.
Task<void> ServeOutbound(Worker& worker, PodContext& pod, Incoming incoming);

}  // namespace heddle::agent
