#include "agent/proxy/relay.h"

#include <cerrno>

#include "agent/proxy/read_size.h"
#include "lib/base/scope.h"
#include "lib/http/error_code.h"

namespace heddle::agent {
namespace {

struct Direction {
  io::Stream& from;
  io::Stream& to;
  uint64_t& bytes;
  RelaySide from_side;
};

class RelayRun {
 public:
  RelayRun(io::Loop& loop, StopToken stop) : loop_(loop), stop_(stop) {}

  Task<void> Move(Direction direction) {
    ReadSize size;
    size_t moved_in_turn = 0;
    while (true) {
      auto block = co_await direction.from.Read(size.hint(), stop_);
      if (!block) co_return Fail(direction, block.error(), direction.from_side);
      if (block->empty()) break;
      size.Note(block->size());
      auto written = co_await direction.to.Write(block->bytes(), stop_);
      if (!written) co_return Fail(direction, written.error(), Other(direction.from_side));
      direction.bytes += block->size();
      moved_in_turn += block->size();
      block->Release();
      if (moved_in_turn < kRelayBytesPerTurn) continue;
      moved_in_turn = 0;
      co_await loop_.Yield();
    }
    auto ended = co_await direction.to.ShutdownWrite(stop_);
    if (!ended) Fail(direction, ended.error(), Other(direction.from_side));
  }

  std::optional<RelayFailure> failure() const { return failure_; }

 private:
  static RelaySide Other(RelaySide side) {
    return side == RelaySide::kClient ? RelaySide::kServer : RelaySide::kClient;
  }

  // The first failure tells the story; what the resets then do to the other direction does not.
  void Fail(const Direction& direction, io::Error error, RelaySide side) {
    if (!failure_) failure_ = RelayFailure{error, side};
    direction.from.Reset();
    direction.to.Reset();
  }

  io::Loop& loop_;
  StopToken stop_;
  std::optional<RelayFailure> failure_;
};

}  // namespace

Task<std::optional<RelayFailure>> Relay(io::Loop& loop, io::Stream& client, io::Stream& server,
                                        RelayBytes& bytes, StopToken stop) {
  RelayRun run(loop, stop);
  Scope upstream(loop);
  const Direction up{client, server, bytes.from_client, RelaySide::kClient};
  const Direction down{server, client, bytes.from_server, RelaySide::kServer};
  upstream.Spawn(run.Move(up));
  co_await run.Move(down);
  co_await upstream.Join();
  co_return run.failure();
}

bool IsOrderlyClose(const io::Error& error) {
  switch (error.domain) {
    case io::ErrorDomain::kErrno:
      return error.code == ECONNRESET || error.code == EPIPE || error.code == ENOTCONN;
    case io::ErrorDomain::kHttp2:
      return http::Is(error, http::ErrorCode::kNoError) ||
             http::Is(error, http::ErrorCode::kCancel) ||
             http::Is(error, http::ErrorCode::kConnectError);
    case io::ErrorDomain::kIo:
    case io::ErrorDomain::kTls: return false;
  }
  return false;
}

}  // namespace heddle::agent
