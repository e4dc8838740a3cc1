#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <variant>

#include "agent/model/failure.h"
#include "agent/model/state.h"
#include "lib/base/random.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"

// Where a captured outbound connection goes (ambient-wire.md sections 6.1 and 6.2). A pure function of state,
// source and address; it allocates only for the sentence of a refusal.
//
// What needs a waypoint or a gateway to another network is refused, not bypassed: those belong to later work, and
// leaving them out would leave out the policy that they enforce.
namespace heddle::agent {

// Where HBONE peers listen.
inline constexpr uint16_t kHbonePort = 15008;

// A tunnel to the workload itself: mutual TLS to `dial`, CONNECT with `target` as authority.
struct HboneHop {
  io::SocketAddress dial;
  io::SocketAddress target;
  WorkloadRef workload;  // Has an identity, or the service has some.
  ServiceRef service;    // nullptr: addressed directly.

  // Who may answer: the workload itself, or anybody the service names.
  bool Accepts(const tls::SpiffeId& peer) const;
  std::vector<tls::SpiffeId> AcceptedIdentities() const;
};

// Plain TCP: to an endpoint that is not in the mesh, or to an address that the mesh knows nothing about.
struct PlainHop {
  io::SocketAddress dial;
  WorkloadRef workload;  // nullptr: unknown address.
  ServiceRef service;    // nullptr: addressed directly.
};

struct RefusedHop {
  FailureReason reason;
  std::string sentence;  // For the access log: what was asked for and what is missing.
  ServiceRef service;    // As far as known.
};

using NextHop = std::variant<HboneHop, PlainHop, RefusedHop>;

// `source` is the workload of the pod that connects; `destination` what its application asked for.
NextHop FindNextHop(const State& state, const Workload& source, const io::SocketAddress& destination, Random& random);

}  // namespace heddle::agent
