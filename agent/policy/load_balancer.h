#pragma once

#include <cstdint>

#include "agent/model/state.h"
#include "lib/base/random.h"
#include "lib/io/address.h"

// The choice among a service's endpoints (ambient-wire.md section 6.2): health, port and addresses must fit,
// preferences say which of the rest compete, capacity is the weight.
namespace heddle::agent {

struct BalancingRequest {
  const Service& service;
  const Workload& source;
  io::SocketAddress destination;  // As the application asked; its port is the service's.
};

struct Choice {
  const Endpoint* endpoint = nullptr;  // nullptr: none fits. Lives as long as the State.
  io::SocketAddress target;
  bool other_network = false;  // There is no endpoint to choose, but there is one on another network.
};

// Weighted random among the best. One pass, no allocation. Its address: the one that the client asked for if it is the
// workload's own, else the first of a family that the service has, of the family of that one if there is one.
Choice ChooseEndpoint(const State& state, const BalancingRequest& request, Random& random);

}  // namespace heddle::agent
