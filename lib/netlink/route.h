#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <vector>

#include "lib/io/address.h"

namespace heddle::netlink {

// Packets that carry `mark` (under `mask`) are delivered locally, whatever their destination
// address: the route table `table` holds one "local default dev lo", and a rule of priority
// `priority` leads to it.
struct MarkedLocalDelivery {
  uint32_t mark = 0;
  uint32_t mask = 0;
  uint32_t table = 0;
  uint32_t priority = 0;
};

// Adds rule and route in the calling thread's netns for one family (AF_INET or AF_INET6). Both
// exist afterwards, once.
absl::Status AddMarkedLocalDelivery(const MarkedLocalDelivery& delivery, int family);
// Removes them; what is not there is no error.
absl::Status RemoveMarkedLocalDelivery(const MarkedLocalDelivery& delivery, int family);

// Sets the loopback interface of the calling thread's netns up; nothing when it is. IPv6 routes on it
// cannot be made before.
absl::Status BringUpLoopback();

// The unicast addresses of all interfaces of the calling thread's netns but loopback and link-local
// ones.
absl::StatusOr<std::vector<io::IpAddress>> ListAddresses();

}  // namespace heddle::netlink
