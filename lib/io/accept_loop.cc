#include "lib/io/accept_loop.h"

#include <cerrno>

#include "lib/io/operation_awaiter.h"

namespace heddle::io {
namespace {

// Long enough for others to end, short against a client's patience; the backlog holds who comes meanwhile.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(100);

// accept(2): errors of the new connection's network are reported here and concern that connection only.
bool ConcernsOneConnection(int number) {
  switch (number) {
    case ECONNABORTED: case EPROTO: case EINTR: case EAGAIN: case ENETDOWN: case ENOPROTOOPT: case EHOSTDOWN:
    case ENONET: case EHOSTUNREACH: case ENETUNREACH: case EPERM: return true;
    default: return false;
  }
}

bool IsShortage(int number) {
  return number == EMFILE || number == ENFILE || number == ENOBUFS || number == ENOMEM;
}

}  // namespace

Task<Result<Accepted>> AcceptNext(Loop& loop, int fd, uint64_t& pauses_total, StopToken stop) {
  while (true) {
    OperationAwaiter<AcceptOperation> accept(loop, stop);
    accept.fd = fd;
    const int32_t result = co_await accept;
    if (result >= 0) {
      Accepted accepted{UniqueFd(result), SocketAddress::FromKernel(accept.peer).value_or(SocketAddress())};
      co_return accepted;
    }
    if (ConcernsOneConnection(-result)) continue;
    if (!IsShortage(-result)) co_return std::unexpected(FailureOf(result, Op::kAccept, stop));
    ++pauses_total;
    if (!co_await loop.Sleep(kAcceptPause, stop)) co_return std::unexpected(Error::Stopped(stop.reason(), Op::kAccept));
  }
}

}  // namespace heddle::io
