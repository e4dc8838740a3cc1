#pragma once

#include <cstdint>
#include <optional>

#include "agent/node/bpf_maps.h"
#include "lib/io/address.h"

namespace heddle::agent {

// Where redirected connections wanted to go (hd_origdst). Thread-safe: the proxy's workers call it,
// one system call each.
class OriginalDestinations {
 public:
  // `maps` is kept longer than this.
  explicit OriginalDestinations(const BpfMaps& maps) : maps_(maps) {}

  // For a connection accepted on the outbound listener of the pod: its peer's and its own address.
  // At most once for each. Empty: no connect hook sent it here, or the map was full, or the client
  // has reset it: reset the connection, never guess.
  std::optional<io::SocketAddress> Take(uint64_t netns_cookie, const io::SocketAddress& peer,
                                        const io::SocketAddress& local) const;

 private:
  const BpfMaps& maps_;
};

}  // namespace heddle::agent
