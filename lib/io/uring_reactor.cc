#include <cerrno>

#include "lib/io/reactor.h"

namespace heddle::io {

Result<std::unique_ptr<Reactor>> MakeIoUringReactor(BufferPool&, const ReactorOptions&) {
  return std::unexpected(Error::Errno(ENOSYS, Op::kRing));
}

std::string_view ToString(Backend backend) {
  switch (backend) {
    case Backend::kEpoll: return "epoll";
    case Backend::kIoUring: return "io_uring";
    case Backend::kSimulated: return "simulated";
  }
  return "unknown";
}

}  // namespace heddle::io
