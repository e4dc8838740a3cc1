#pragma once

#include <cstdint>

#include "controlplane/api/problem.h"

namespace heddle::controlplane::translate {

// How far the mesh has gone in leaving the cluster (decision 014). Each phase holds what those before
// it do, and begins when every node has confirmed the one before: a pod that has no policy yet must
// not be sent plaintext, and one that others still send HBONE to must not be let go.
enum class RemovalPhase : uint8_t {
  kNone,
  kRelax,    // No policy is in effect, neither STRICT nor any authorization.
  kPlain,    // No pod is announced as reachable by HBONE.
  kRelease,  // No pod is enrolled; the nodes let go of what they have captured.
};

// What becomes of the status of an AuthorizationPolicy or PeerAuthentication from kRelax on.
inline void Relax(api::ObjectStatus& status) {
  status.effective = false;
  status.note = "has no effect: the mesh is being removed";
}

}  // namespace heddle::controlplane::translate
