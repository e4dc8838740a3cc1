#pragma once

#include "lib/base/unique_fd.h"
#include "lib/io/address.h"
#include "lib/io/loop.h"

namespace heddle::io {

struct Accepted {
  UniqueFd socket;
  SocketAddress peer;  // "[::]:0" of a Unix socket.
};

// The next connection of a listening socket. Errors that concern one connection only are absorbed; when
// descriptors or memory run out it counts in `pauses_total`, waits on a timer and goes on, so that a full
// process does not spin. An error means that the socket is of no more use, or that `stop` fired.
Task<Result<Accepted>> AcceptNext(Loop& loop, int fd, uint64_t& pauses_total, StopToken stop);

}  // namespace heddle::io
