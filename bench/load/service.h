#pragma once

#include <memory>

#include "bench/load/crew.h"
#include "lib/io/network.h"

namespace heddle::bench {

// The server's side of one connection, until the client ends it; see wire.h. A client that breaks the rules is reset.
Task<void> Serve(Member& member, std::unique_ptr<io::Connection> connection);

}  // namespace heddle::bench
