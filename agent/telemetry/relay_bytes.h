#pragma once

#include <cstdint>

namespace heddle::agent {

// Bytes of a connection that the other side has taken, counted while it is relayed.
struct RelayBytes {
  uint64_t from_client = 0;
  uint64_t from_server = 0;
};

}  // namespace heddle::agent
