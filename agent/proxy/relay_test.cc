#include "agent/proxy/relay.h"

#include <gtest/gtest.h>

#include <string>

#include "lib/base/frame_allocator.h"
#include "lib/base/scope.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/pipe.h"
#include "lib/io/testing/simulation.h"

namespace heddle::agent {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// An application and a server with a relay between them.
//     app <-> client | relay | server <-> far
struct Between {
  explicit Between(io::Loop& loop, size_t capacity = 64 * 1024)
      : loop(loop),
        near(io::MakePipe(loop, {.capacity = capacity})),
        beyond(io::MakePipe(loop, {.capacity = capacity})),
        scope(loop) {}

  void Start() { scope.Spawn(Run()); }
  Task<void> Run() {
    failure = co_await Relay(loop, *near.second, *beyond.first, bytes, stop.token());
    ended = true;
  }
  io::Stream& app() { return *near.first; }
  io::Stream& far() { return *beyond.second; }

  io::Loop& loop;
  io::Pipe near, beyond;
  StopSource stop;
  RelayBytes bytes;
  std::optional<RelayFailure> failure;
  bool ended = false;
  Scope scope;
};

Task<std::string> ReadExactly(io::Stream& stream, size_t size) {
  std::string got;
  while (got.size() < size) {
    auto block = co_await stream.Read(4096, {});
    if (!block || block->empty()) break;
    got.append(reinterpret_cast<const char*>(block->data()), block->size());
  }
  co_return got;
}

Task<bool> ReadsEnd(io::Stream& stream) {
  auto block = co_await stream.Read(4096, {});
  co_return block.has_value() && block->empty();
}

void RunInSimulation(Task<void> (*body)(io::Loop& loop)) {
  io::Simulation simulation(1);
  io::Loop& loop = simulation.AddLoop();
  simulation.Run(loop, body(loop));
}

// A CO_TEST whose time passes by itself.
#define TIMED_TEST(name)                                    \
  Task<void> name##_Body(io::Loop& loop);                   \
  TEST(Relay, name) { RunInSimulation(&name##_Body); }      \
  Task<void> name##_Body(io::Loop& loop)

CO_TEST(Relay, CarriesBytesBothWaysAndCountsThem) {
  Between between(loop);
  between.Start();
  CO_ASSERT_TRUE(co_await between.app().Write(Bytes("question"), {}));
  EXPECT_EQ(co_await ReadExactly(between.far(), 8), "question");
  CO_ASSERT_TRUE(co_await between.far().Write(Bytes("answer"), {}));
  EXPECT_EQ(co_await ReadExactly(between.app(), 6), "answer");
  between.stop.RequestStop();
  co_await between.scope.Join();
  EXPECT_EQ(between.bytes.from_client, 8u);
  EXPECT_EQ(between.bytes.from_server, 6u);
}

CO_TEST(Relay, KeepsOneDirectionOpenAfterTheOtherHasEnded) {
  for (const bool client_first : {true, false}) {
    Between between(loop);
    between.Start();
    io::Stream& first = client_first ? between.app() : between.far();
    io::Stream& second = client_first ? between.far() : between.app();
    CO_ASSERT_TRUE(co_await first.ShutdownWrite({}));
    EXPECT_TRUE(co_await ReadsEnd(second));
    CO_ASSERT_TRUE(co_await second.Write(Bytes("late"), {}));
    EXPECT_EQ(co_await ReadExactly(first, 4), "late");
    EXPECT_FALSE(between.ended);
    CO_ASSERT_TRUE(co_await second.ShutdownWrite({}));
    EXPECT_TRUE(co_await ReadsEnd(first));
    co_await between.scope.Join();
    EXPECT_FALSE(between.failure);
  }
}

CO_TEST(Relay, TurnsAResetOfEitherSideIntoAResetOfTheOther) {
  for (const bool client_resets : {true, false}) {
    Between between(loop);
    between.Start();
    (client_resets ? between.app() : between.far()).Reset();
    io::Stream& other = client_resets ? between.far() : between.app();
    auto block = co_await other.Read(4096, {});
    CO_ASSERT_TRUE(!block.has_value());
    EXPECT_TRUE(block.error().peer_gone());
    co_await between.scope.Join();
    CO_ASSERT_TRUE(between.failure.has_value());
    EXPECT_EQ(between.failure->side, client_resets ? RelaySide::kClient : RelaySide::kServer);
    EXPECT_TRUE(IsOrderlyClose(between.failure->error));
  }
}

CO_TEST(Relay, ResetsBothSidesWhenStopped) {
  Between between(loop);
  between.Start();
  between.stop.RequestStop();
  co_await between.scope.Join();
  EXPECT_FALSE((co_await between.app().Read(4096, {})).has_value());
  EXPECT_FALSE((co_await between.far().Read(4096, {})).has_value());
  CO_ASSERT_TRUE(between.failure.has_value());
  EXPECT_TRUE(between.failure->error.stopped());
}

Task<void> WriteAll(io::Stream& stream, std::string text, bool* done) {
  *done = (co_await stream.Write(Bytes(text), {})).has_value();
}

CO_TEST(Relay, StopsReadingWhileTheOtherSideDoesNotTakeIt) {
  Between between(loop, 4096);
  between.Start();
  bool done = false;
  Scope writer(loop);
  const std::string text(100'000, 'x');
  writer.Spawn(WriteAll(between.app(), text, &done));
  for (int i = 0; i < 1000; ++i) co_await loop.Yield();
  EXPECT_FALSE(done);
  EXPECT_LE(between.bytes.from_client, 2 * 4096u);
  EXPECT_EQ(co_await ReadExactly(between.far(), text.size()), text);
  co_await writer.Join();
  EXPECT_TRUE(done);
  between.stop.RequestStop();
  co_await between.scope.Join();
}

TIMED_TEST(NoticesAResetOfASenderWhoseBytesAreNotTaken) {
  for (const bool client_sends : {true, false}) {
    Between between(loop, 4096);
    between.Start();
    io::Stream& sender = client_sends ? between.app() : between.far();
    bool done = false;
    Scope writer(loop);
    writer.Spawn(WriteAll(sender, std::string(100'000, 'x'), &done));
    co_await loop.Sleep(absl::Seconds(10), {});  // A reader that is only slow resets nobody.
    EXPECT_FALSE(between.ended);
    sender.Reset();
    co_await writer.Join();
    co_await loop.Sleep(absl::Milliseconds(1), {});
    EXPECT_TRUE(between.ended);
    CO_ASSERT_TRUE(between.failure.has_value());
    EXPECT_EQ(between.failure->side, client_sends ? RelaySide::kClient : RelaySide::kServer);
    co_await between.scope.Join();
  }
}

TIMED_TEST(NoticesAResetOfASenderSoonAfterItsBytesAreNoLongerTaken) {
  Between between(loop, 4096);
  between.Start();
  bool done = false;
  Scope writer(loop);
  writer.Spawn(WriteAll(between.app(), std::string(100'000, 'x'), &done));
  co_await loop.Sleep(absl::Milliseconds(1), {});
  between.app().Reset();
  co_await writer.Join();
  co_await loop.Sleep(2 * kSenderWatchDelay, {});
  EXPECT_TRUE(between.ended);
  co_await between.scope.Join();
}

TIMED_TEST(PassesOnAResetAfterAnOrderlyEndOfTheSameSide) {
  for (const bool client_first : {true, false}) {
    Between between(loop);
    between.Start();
    io::Stream& first = client_first ? between.app() : between.far();
    io::Stream& second = client_first ? between.far() : between.app();
    CO_ASSERT_TRUE(co_await first.ShutdownWrite({}));
    EXPECT_TRUE(co_await ReadsEnd(second));
    first.Reset();
    co_await loop.Sleep(2 * kSenderWatchDelay, {});
    EXPECT_TRUE(between.ended);
    auto written = co_await second.Write(Bytes("late"), {});
    EXPECT_FALSE(written.has_value());
    co_await between.scope.Join();
  }
}

TIMED_TEST(EndsAtOnceWithItsSecondDirection) {
  Between between(loop);
  between.Start();
  CO_ASSERT_TRUE(co_await between.app().ShutdownWrite({}));
  EXPECT_TRUE(co_await ReadsEnd(between.far()));
  const MonotonicTime begin = loop.Now();
  CO_ASSERT_TRUE(co_await between.far().ShutdownWrite({}));
  co_await between.scope.Join();
  EXPECT_LT(loop.Now() - begin, absl::Milliseconds(1));
  EXPECT_FALSE(between.failure);
}

// Long enough that the relay is parked.
auto Idle(io::Loop& loop) { return loop.Sleep(3 * kParkDelay, {}); }

TIMED_TEST(ParksWhileNothingComesAndGoesOnWhenBytesDo) {
  for (const bool client_sends : {true, false}) {
    Between between(loop);
    const uint64_t frames = ThreadFrameStats().live_bytes;
    between.Start();
    io::Stream& sender = client_sends ? between.app() : between.far();
    io::Stream& receiver = client_sends ? between.far() : between.app();
    const uint64_t running = ThreadFrameStats().live_bytes - frames;
    for (int i = 0; i < 3; ++i) {
      co_await Idle(loop);
      EXPECT_LT(2 * (ThreadFrameStats().live_bytes - frames), running);
      CO_ASSERT_TRUE(co_await sender.Write(Bytes("late"), {}));
      EXPECT_EQ(co_await ReadExactly(receiver, 4), "late");
      CO_ASSERT_TRUE(co_await receiver.Write(Bytes("answer"), {}));
      EXPECT_EQ(co_await ReadExactly(sender, 6), "answer");
    }
    EXPECT_EQ(between.bytes.from_client, client_sends ? 12u : 18u);
    EXPECT_EQ(between.bytes.from_server, client_sends ? 18u : 12u);
    between.stop.RequestStop();
    co_await between.scope.Join();
  }
}

// Goes by itself at its end.
class OwnedByItself final : public ParkingRelay {
 public:
  OwnedByItself(Scope& scope, const RelayParts& parts, std::optional<RelayFailure>& failure)
      : ParkingRelay(scope), parts_(parts), failure_(failure) {}

 private:
  RelayParts parts() override { return parts_; }
  void OnEnd(const std::optional<RelayFailure>& failure) override {
    failure_ = failure;
    delete this;
  }
  const RelayParts parts_;
  std::optional<RelayFailure>& failure_;
};

TIMED_TEST(HasNoFrameWhileItIsParkedAndCountsInItsScopeUntilItHasGone) {
  for (const bool stopped : {true, false}) {
    Between between(loop);
    const uint64_t frames = ThreadFrameStats().live_bytes;
    const RelayParts parts{loop, *between.near.second, *between.beyond.first, between.bytes, between.stop.token()};
    (new OwnedByItself(between.scope, parts, between.failure))->Begin();
    EXPECT_GT(ThreadFrameStats().live_bytes, frames);
    co_await Idle(loop);
    EXPECT_EQ(ThreadFrameStats().live_bytes, frames);
    EXPECT_EQ(between.scope.live(), 1u);
    if (stopped) {
      between.stop.RequestStop();
    } else {
      CO_ASSERT_TRUE(co_await between.app().ShutdownWrite({}));
      CO_ASSERT_TRUE(co_await between.far().ShutdownWrite({}));
    }
    co_await between.scope.Join();
    EXPECT_EQ(between.failure.has_value(), stopped);
  }
}

TIMED_TEST(WakesForBothSidesAtOnce) {
  Between between(loop);
  between.Start();
  co_await Idle(loop);
  bool up = false;
  bool down = false;
  Scope writers(loop);
  writers.Spawn(WriteAll(between.app(), std::string(200'000, 'u'), &up));
  writers.Spawn(WriteAll(between.far(), std::string(100, 'd'), &down));
  EXPECT_EQ(co_await ReadExactly(between.app(), 100), std::string(100, 'd'));
  EXPECT_EQ(co_await ReadExactly(between.far(), 200'000), std::string(200'000, 'u'));
  co_await writers.Join();
  EXPECT_TRUE(up && down);
  between.stop.RequestStop();
  co_await between.scope.Join();
}

TIMED_TEST(PassesOnAnEndThatComesWhileItIsParked) {
  for (const bool client_first : {true, false}) {
    Between between(loop);
    between.Start();
    co_await Idle(loop);
    io::Stream& first = client_first ? between.app() : between.far();
    io::Stream& second = client_first ? between.far() : between.app();
    CO_ASSERT_TRUE(co_await first.ShutdownWrite({}));
    EXPECT_TRUE(co_await ReadsEnd(second));
    co_await Idle(loop);  // Half open, it is not parked: it watches for a reset of the side that has ended.
    CO_ASSERT_TRUE(co_await second.Write(Bytes("late"), {}));
    EXPECT_EQ(co_await ReadExactly(first, 4), "late");
    CO_ASSERT_TRUE(co_await second.ShutdownWrite({}));
    EXPECT_TRUE(co_await ReadsEnd(first));
    co_await between.scope.Join();
    EXPECT_FALSE(between.failure);
  }
}

TIMED_TEST(PassesOnAResetThatComesWhileItIsParked) {
  for (const bool client_resets : {true, false}) {
    Between between(loop);
    between.Start();
    co_await Idle(loop);
    (client_resets ? between.app() : between.far()).Reset();
    EXPECT_FALSE((co_await (client_resets ? between.far() : between.app()).Read(4096, {})).has_value());
    co_await between.scope.Join();
    CO_ASSERT_TRUE(between.failure.has_value());
    EXPECT_EQ(between.failure->side, client_resets ? RelaySide::kClient : RelaySide::kServer);
  }
}

TIMED_TEST(ResetsBothSidesWhenStoppedWhileItIsParked) {
  Between between(loop);
  between.Start();
  co_await Idle(loop);
  between.stop.RequestStop();
  co_await between.scope.Join();
  EXPECT_FALSE((co_await between.app().Read(4096, {})).has_value());
  EXPECT_FALSE((co_await between.far().Read(4096, {})).has_value());
  CO_ASSERT_TRUE(between.failure.has_value());
  EXPECT_TRUE(between.failure->error.stopped());
}

TIMED_TEST(IsNotParkedWhileTheOtherSideDoesNotTakeItsBytes) {
  Between between(loop, 4096);
  between.Start();
  bool done = false;
  Scope writer(loop);
  const std::string text(100'000, 'x');
  writer.Spawn(WriteAll(between.app(), text, &done));
  co_await Idle(loop);
  EXPECT_FALSE(done);
  EXPECT_EQ(co_await ReadExactly(between.far(), text.size()), text);
  co_await writer.Join();
  between.stop.RequestStop();
  co_await between.scope.Join();
}

CO_TEST(Relay, HoldsNoBufferWhileItWaits) {
  Between between(loop);
  between.Start();
  CO_ASSERT_TRUE(co_await between.app().Write(Bytes("x"), {}));
  EXPECT_EQ(co_await ReadExactly(between.far(), 1), "x");
  for (int i = 0; i < 10; ++i) co_await loop.Yield();
  EXPECT_EQ(loop.buffers().stats().in_use_bytes, 0u);
  between.stop.RequestStop();
  co_await between.scope.Join();
}

TEST(IsOrderlyClose, TellsApplicationsFromBrokenTunnels) {
  using io::Error;
  const struct {
    Error error;
    bool want;
  } cases[] = {
      {Error::Errno(ECONNRESET, io::Op::kRead), true},
      {Error::Errno(EPIPE, io::Op::kWrite), true},
      {Error::Errno(ETIMEDOUT, io::Op::kRead), false},
      {Error::Io(io::IoCode::kUnexpectedEof, io::Op::kRead), false},
      {Error::Io(io::IoCode::kStopped, io::Op::kRead), false},
      {{io::ErrorDomain::kHttp2, io::Op::kStream, 0x8}, true},
      {{io::ErrorDomain::kHttp2, io::Op::kStream, 0xa}, true},
      {{io::ErrorDomain::kHttp2, io::Op::kStream, 0x1}, false},
      {{io::ErrorDomain::kTls, io::Op::kRead, 4}, false},
  };
  for (const auto& c : cases) EXPECT_EQ(IsOrderlyClose(c.error), c.want) << c.error.ToString();
}

}  // namespace
}  // namespace heddle::agent
