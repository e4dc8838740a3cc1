#pragma once

#include <absl/status/statusor.h>

#include <string>
#include <vector>

#include "lib/io/address.h"
#include "lib/io/loop.h"

namespace heddle::io {

// The addresses of a host, in the order in which to try them; at least one, at most
// kMaxResolvedAddresses. A host that is an IP address is that. A name goes through the C library on
// a thread of its own, because that blocks; it cannot be stopped, and takes as long as the resolver's
// timeouts.
inline constexpr size_t kMaxResolvedAddresses = 16;
Task<absl::StatusOr<std::vector<SocketAddress>>> Resolve(Loop& loop, std::string host,
                                                         uint16_t port);

}  // namespace heddle::io
