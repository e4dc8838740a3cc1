#include "agent/proxy/relay.h"

#include <array>
#include <cerrno>
#include <utility>

#include "lib/base/scope.h"
#include "lib/http/error_code.h"
#include "lib/io/read_size.h"

namespace heddle::agent {
namespace {

struct Direction {
  io::Stream& from;
  io::Stream& to;
  uint64_t& bytes;
  RelaySide from_side;
};

class RelayRun;

// Watches the sender during a write that takes long. Its timer runs on from write to write, so that
// short ones cost nothing: it fires at most once per kSenderWatchDelay.
class WriteWatch final : private Timer {
 public:
  WriteWatch(RelayRun& run, const Direction& direction) : run_(run), direction_(direction) {}

  bool writing() const { return writing_; }
  void Begin();
  void End() {
    writing_ = false;
    if (watch_ != nullptr) watch_->RequestStop();
  }

 private:
  void OnTimer() override;
  Task<void> Watch();

  RelayRun& run_;
  const Direction& direction_;
  bool writing_ = false;
  uint32_t writes_ = 0;
  uint32_t writes_when_armed_ = 0;
  StopSource* watch_ = nullptr;  // Of the watch under way.
};

// One relay from a beginning or a wake-up to its end or until it is parked: its two directions, and the tasks that
// watch senders. The scope is joined before it goes.
class RelayRun final : private Timer {
 public:
  RelayRun(io::Loop& loop, Scope& scope, const std::array<Direction, 2>& directions, StopToken stop);

  // Starts both directions in the scope.
  void Start();
  // Until the sender resets or is lost.
  Task<void> WatchSender(Direction direction, StopToken stop);
  std::optional<RelayFailure> failure() const { return failure_; }
  // Once the scope has been joined: the streams are as they were, with nothing under way.
  bool parked() const { return paused_directions_ == 2 && !failure_; }

  io::Loop& loop;
  Scope& scope;

 private:
  static RelaySide Other(RelaySide side) {
    return side == RelaySide::kClient ? RelaySide::kServer : RelaySide::kClient;
  }

  // The first failure tells the story; what the resets then do to the other direction does not.
  void Fail(const Direction& direction, io::Error error, RelaySide side) {
    if (!failure_) failure_ = RelayFailure{error, side};
    direction.from.Reset();
    direction.to.Reset();
    over_.RequestStop();
  }
  Task<void> Move(size_t index);
  // What ends a Read: a relay of which one direction has ended is not parked.
  StopToken reading() { return ended_directions_ == 0 ? pause_.token() : stop_; }
  void Paused(size_t index);
  void Ended(const Direction& direction);
  Task<void> WatchEndedSender(Direction direction);
  void OnTimer() override;

  const std::array<Direction, 2> directions_;
  std::array<WriteWatch, 2> watches_;
  StopToken stop_;
  LinkedStopSource pause_;  // Also requested by stop_.
  std::optional<RelayFailure> failure_;
  uint32_t blocks_ = 0;
  uint32_t blocks_when_armed_ = 0;
  size_t ended_directions_ = 0;
  size_t paused_directions_ = 0;
  size_t paused_index_ = 0;  // Of the direction that was paused last.
  StopSource over_;  // Both directions have ended, or one has failed.
};

void WriteWatch::Begin() {
  ++writes_;
  writing_ = true;
  if (armed()) return;
  writes_when_armed_ = writes_;
  run_.loop.Arm(*this, kSenderWatchDelay);
}

void WriteWatch::OnTimer() {
  if (!writing_) return;
  const bool long_write = writes_ == std::exchange(writes_when_armed_, writes_);
  if (!long_write || watch_ != nullptr) return run_.loop.Arm(*this, kSenderWatchDelay);
  run_.scope.Spawn(Watch());
}

Task<void> WriteWatch::Watch() {
  StopSource stop;
  watch_ = &stop;
  co_await run_.WatchSender(direction_, stop.token());
  watch_ = nullptr;
}

RelayRun::RelayRun(io::Loop& loop, Scope& scope, const std::array<Direction, 2>& directions,
                   StopToken stop)
    : loop(loop),
      scope(scope),
      directions_(directions),
      watches_{WriteWatch(*this, directions_[0]), WriteWatch(*this, directions_[1])},
      stop_(stop),
      pause_(stop) {}

void RelayRun::Start() {
  if (directions_[0].from.watchable() && directions_[1].from.watchable()) loop.Arm(*this, kParkDelay);
  scope.Spawn(Move(0));
  scope.Spawn(Move(1));
}

// It runs on while there is traffic, so that a block costs nothing: it fires once per kParkDelay.
void RelayRun::OnTimer() {
  if (ended_directions_ > 0 || failure_) return;
  const bool idle = blocks_ == std::exchange(blocks_when_armed_, blocks_);
  if (!idle || watches_[0].writing() || watches_[1].writing()) return loop.Arm(*this, kParkDelay);
  pause_.RequestStop();
}

// A stopped Read has taken nothing, so it can be begun anew.
void RelayRun::Paused(size_t index) {
  ++paused_directions_;
  paused_index_ = index;
}

Task<void> RelayRun::Move(size_t index) {
  const Direction& direction = directions_[index];
  WriteWatch& watch = watches_[index];
  io::ReadSize size;
  size_t moved_in_turn = 0;
  while (true) {
    auto block = co_await direction.from.Read(size.hint(), reading());
    if (!block && block.error().stopped() && !stop_.requested()) {
      if (ended_directions_ == 0) co_return Paused(index);
      continue;
    }
    if (!block) co_return Fail(direction, block.error(), direction.from_side);
    if (block->empty()) break;
    ++blocks_;
    size.Note(block->size());
    watch.Begin();
    auto written = co_await direction.to.Write(block->bytes(), stop_);
    watch.End();
    if (!written) co_return Fail(direction, written.error(), Other(direction.from_side));
    direction.bytes += block->size();
    moved_in_turn += block->size();
    block->Release();
    if (moved_in_turn < kRelayBytesPerTurn) continue;
    moved_in_turn = 0;
    co_await loop.Yield();
  }
  auto ended = co_await direction.to.ShutdownWrite(stop_);
  if (!ended) co_return Fail(direction, ended.error(), Other(direction.from_side));
  Ended(direction);
}

void RelayRun::Ended(const Direction& direction) {
  if (++ended_directions_ == 2) {
    over_.RequestStop();
  } else if (!over_.requested()) {
    scope.Spawn(WatchEndedSender(direction));
    // The other one was paused while this had its last bytes to move.
    if (std::exchange(paused_directions_, 0) > 0) scope.Spawn(Move(paused_index_));
  }
}

// The sender has ended in order, and can still reset what goes to it.
Task<void> RelayRun::WatchEndedSender(Direction direction) {
  if (!co_await loop.Sleep(kSenderWatchDelay, over_.token())) co_return;
  co_await WatchSender(direction, over_.token());
}

Task<void> RelayRun::WatchSender(Direction direction, StopToken stop) {
  const auto broken = co_await direction.from.AwaitBroken(stop);
  if (!broken || stop.requested()) co_return;
  // A server that has answered in full and wants no more of the request says so (RFC 9113 section
  // 8.1): what it has sent must still arrive.
  if (http::Is(*broken, http::ErrorCode::kNoError)) co_return;
  Fail(direction, *broken, direction.from_side);
}

// How a run of a relay ended: by its end, or because nothing has come for long.
struct RelayRunEnd {
  bool idle = false;
  std::optional<RelayFailure> failure;
};

Task<RelayRunEnd> RelayUntilIdle(RelayParts relay) {
  Scope scope(relay.loop);
  const std::array<Direction, 2> directions{
      Direction{relay.client, relay.server, relay.bytes.from_client, RelaySide::kClient},
      Direction{relay.server, relay.client, relay.bytes.from_server, RelaySide::kServer}};
  RelayRun run(relay.loop, scope, directions, relay.stop);
  run.Start();
  co_await scope.Join();
  co_return RelayRunEnd{run.parked(), run.failure()};
}

// A relay in the frame of whoever waits for it.
class AwaitedRelay final : public ParkingRelay {
 public:
  AwaitedRelay(Scope& scope, const RelayParts& parts) : ParkingRelay(scope), parts_(parts), ended_(parts.loop) {}

  auto Ended() { return ended_.Wait({}); }
  const std::optional<RelayFailure>& failure() const { return failure_; }

 private:
  RelayParts parts() override { return parts_; }
  void OnEnd(const std::optional<RelayFailure>& failure) override {
    failure_ = failure;
    ended_.Set();
  }

  const RelayParts parts_;
  Event ended_;
  std::optional<RelayFailure> failure_;
};

}  // namespace

void ParkingRelay::Begin() { Run(); }

Task<void> ParkingRelay::Go() {
  const RelayRunEnd end = co_await RelayUntilIdle(parts());
  if (end.idle) {
    Park();
  } else {
    OnEnd(end.failure);
  }
}

// Nothing is under way on either stream, and neither has ended.
void ParkingRelay::Park() {
  const RelayParts relay = parts();
  // What the stop means is found by the next run, as is the end of a stream.
  if (relay.stop.requested()) return relay.loop.Schedule(*this);
  watches_ = 2;
  Subscribe(relay.stop);
  relay.client.Watch(*this);
  relay.server.Watch(*this);
  // The client was readable before the server was watched.
  if (watches_ == 1) EndWatches();
}

void ParkingRelay::OnReadable() {
  StopCallback::Unlink();
  if (--watches_ == 1) return EndWatches();
  parts().loop.Schedule(*this);
}

void ParkingRelay::EndWatches() {
  const RelayParts relay = parts();
  relay.client.Unwatch();
  relay.server.Unwatch();
}

Task<std::optional<RelayFailure>> Relay(io::Loop& loop, io::Stream& client, io::Stream& server,
                                        RelayBytes& bytes, StopToken stop) {
  Scope scope(loop);
  AwaitedRelay relay(scope, RelayParts{loop, client, server, bytes, stop});
  relay.Begin();
  co_await relay.Ended();
  co_return relay.failure();
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
