#include "lib/io/operation_awaiter.h"
#include "lib/io/socket.h"

namespace heddle::io {

Task<Result<int>> WaitReady(Loop& loop, int fd, short events, StopToken stop) {
  OperationAwaiter<PollOperation> poll(loop, stop);
  poll.fd = fd;
  poll.events = events;
  const int32_t result = co_await poll;
  if (result < 0) co_return std::unexpected(FailureOf(result, Op::kPoll, stop));
  co_return result;
}

}  // namespace heddle::io
