// What a connection, a listener and the kernel's network promise, on every backend.
#include "lib/io/socket.h"

#include <gtest/gtest.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>

#include <map>

#include "lib/base/frame_allocator.h"
#include "lib/io/loop_pool.h"
#include "lib/io/testing/backend_test.h"
#include "lib/io/testing/told_watcher.h"

namespace heddle::io {
namespace {

class SocketTest : public BackendTest {};
INSTANTIATE_BACKENDS(SocketTest);

SocketAddress Loopback(uint16_t port = 0) { return {IpAddress::V4(127, 0, 0, 1), port}; }

Task<void> Echo(Connection& connection) {
  while (true) {
    const auto got = co_await connection.Read(BufferPool::kSmall, {});
    if (!got || got->empty()) break;
    if (!co_await connection.Write(got->bytes(), {})) break;
  }
  const auto ended = co_await connection.ShutdownWrite({});
  EXPECT_TRUE(ended);
}

Task<void> EchoOnce(BackendTest& test, SocketAddress at) {
  auto listener = test.network.Listen(test.loop, at);
  CO_ASSERT_TRUE(listener);
  EXPECT_EQ((*listener)->local().ip, at.ip);
  ConnectOptions options;
  options.to = (*listener)->local();
  auto client = co_await test.network.Connect(test.loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  EXPECT_EQ((*accepted)->peer(), (*client)->local());
  auto server = (*accepted)->Attach(test.loop);
  EXPECT_EQ(server->local(), (*client)->peer());
  Scope scope(test.loop);
  scope.Spawn(Echo(*server));
  EXPECT_TRUE(co_await (*client)->Write(BytesOf("hello"), {}));
  EXPECT_TRUE(co_await (*client)->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(**client), "hello");
  co_await scope.Join();
}

CO_TEST_P(SocketTest, EchoesOverIpv4) { co_await EchoOnce(test, Loopback()); }
CO_TEST_P(SocketTest, EchoesOverIpv6) {
  const SocketAddress at{*IpAddress::Parse("::1"), 0};
  co_await EchoOnce(test, at);
}

CO_TEST_P(SocketTest, TellsAWatcherOfBytesAndOfTheEnd) {
  const auto ends = co_await test.ConnectEnds();
  ToldWatcher watcher(loop);
  for (int i = 0; i < 3; ++i) {
    ends.server->Watch(watcher);
    EXPECT_EQ(watcher.times, 0);
    EXPECT_TRUE(co_await ends.client->Write(BytesOf("hello"), {}));
    co_await watcher.Told();
    EXPECT_EQ(*co_await ReadExactly(*ends.server, 5), "hello");
  }
  EXPECT_TRUE(co_await ends.client->Write(BytesOf("last"), {}));
  ends.server->Watch(watcher);  // What is there already, too.
  co_await watcher.Told();
  EXPECT_EQ(*co_await ReadExactly(*ends.server, 4), "last");
  ends.server->Watch(watcher);
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  co_await watcher.Told();
  EXPECT_EQ(*co_await ReadAll(*ends.server), "");
}

CO_TEST_P(SocketTest, TellsAWatcherOfAResetAndWhenTheWatchEnds) {
  const auto ends = co_await test.ConnectEnds();
  ToldWatcher watcher(loop);
  ends.server->Unwatch();
  EXPECT_EQ(watcher.times, 0);
  ends.server->Watch(watcher);
  ends.server->Unwatch();
  co_await watcher.Told();
  ends.client->Watch(watcher);
  ends.client->Reset();
  co_await watcher.Told();
  ends.server->Watch(watcher);
  co_await watcher.Told();
  const auto read = co_await ends.server->Read(100, {});
  CO_ASSERT_TRUE(!read);
  EXPECT_TRUE(read.error().peer_gone());
}

CO_TEST_P(SocketTest, ReadsNoMoreThanAskedFor) {
  const auto ends = co_await test.ConnectEnds();
  EXPECT_TRUE(co_await ends.client->Write(BytesOf(std::string(10'000, 'x')), {}));
  const auto first = co_await ends.server->Read(5000, {});
  CO_ASSERT_TRUE(first);
  EXPECT_LE(first->size(), 5000u);
}

CO_TEST_P(SocketTest, ReportsARefusedConnect) {
  uint16_t port = 0;
  {
    auto listener = test.network.Listen(loop, Loopback());
    CO_ASSERT_TRUE(listener);
    port = (*listener)->local().port;
  }
  ConnectOptions options;
  options.to = Loopback(port);
  const auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(!client);
  EXPECT_TRUE(client.error().is_errno(ECONNREFUSED)) << client.error().ToString();
  EXPECT_EQ(client.error().op, Op::kConnect);
}

CO_TEST_P(SocketTest, ConnectsFromTheSourceAsked) {
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  options.bind = SocketAddress{IpAddress::V4(127, 0, 0, 9), 0};
  const auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  const auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  EXPECT_EQ((*accepted)->peer().ip, IpAddress::V4(127, 0, 0, 9));
}

CO_TEST_P(SocketTest, TakesASocketOfItsCaller) {
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  options.socket = UniqueFd(::socket(options.to.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = options.socket.get();
  const auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  EXPECT_EQ(LocalAddress(fd), (*client)->local());
}

CO_TEST_P(SocketTest, HalfClosesClientFirst) {
  auto ends = co_await test.ConnectEnds();
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.server), "");
  EXPECT_TRUE(co_await ends.server->Write(BytesOf("still here"), {}));
  EXPECT_TRUE(co_await ends.server->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.client), "still here");
}

CO_TEST_P(SocketTest, HalfClosesServerFirst) {
  auto ends = co_await test.ConnectEnds();
  EXPECT_TRUE(co_await ends.server->Write(BytesOf("bye"), {}));
  EXPECT_TRUE(co_await ends.server->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.client), "bye");
  EXPECT_TRUE(co_await ends.client->Write(BytesOf("and you"), {}));
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.server), "and you");
}

CO_TEST_P(SocketTest, ShowsAResetAsConnectionReset) {
  auto ends = co_await test.ConnectEnds();
  ends.client->Reset();
  const auto got = co_await ends.server->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!got);
  EXPECT_TRUE(got.error().is_errno(ECONNRESET)) << got.error().ToString();
  EXPECT_TRUE(got.error().peer_gone());
}

CO_TEST_P(SocketTest, ResetsAnAcceptedConnectionThatNobodyTook) {
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  (co_await (*listener)->Accept({})).value().reset();
  const auto got = co_await (*client)->Read(BufferPool::kSmall, {});
  CO_ASSERT_TRUE(!got);
  EXPECT_TRUE(got.error().is_errno(ECONNRESET)) << got.error().ToString();
}

Task<void> ExpectClosedRead(Connection& connection) {
  const auto got = co_await connection.Read(BufferPool::kSmall, {});
  EXPECT_TRUE(!got && got.error().is(IoCode::kClosed));
}

Task<void> ExpectClosedWrite(Connection& connection) {
  const std::string much(64u << 20, 'x');
  const auto written = co_await connection.Write(BytesOf(much), {});
  EXPECT_TRUE(!written && written.error().is(IoCode::kClosed));
}

size_t UnsentBytes(int fd) {
  int bytes = 0;
  CHECK(::ioctl(fd, SIOCOUTQNSD, &bytes) == 0);
  return static_cast<size_t>(bytes);
}

CO_TEST_P(SocketTest, HoldsNoMoreUnsentBytesThanItMay) {
  constexpr size_t kLimit = 128 * 1024;
  constexpr size_t kSegment = 64 * 1024;  // The kernel fills the one that it has begun.
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  options.socket = UniqueFd(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int fd = options.socket.get();
  auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  (*client)->LimitUnsent(kLimit);
  Scope scope(loop);
  scope.Spawn(ExpectClosedWrite(**client));
  for (int i = 0; i < 100; ++i) co_await loop.Yield();
  EXPECT_GT(UnsentBytes(fd), 0u) << "the peer does not read";
  EXPECT_LE(UnsentBytes(fd), kLimit + kSegment);
  (*client)->Reset();
  co_await scope.Join();
}

CO_TEST_P(SocketTest, ResetsThePeerWhenItGoesBeforeBothDirectionsHaveEnded) {
  for (const bool peer_has_ended : {false, true}) {
    auto ends = co_await test.ConnectEnds();
    ends.server->ResetUnlessEnded();
    EXPECT_TRUE(co_await ends.server->Write(BytesOf("half"), {}));
    EXPECT_EQ(co_await ReadExactly(*ends.client, 4), "half");
    if (peer_has_ended) {
      EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
      EXPECT_EQ(co_await ReadAll(*ends.server), "");
    }
    ends.server.reset();  // The kernel does the same when the process is killed.
    const auto got = co_await ends.client->Read(BufferPool::kSmall, {});
    CO_ASSERT_TRUE(!got);
    EXPECT_TRUE(got.error().is_errno(ECONNRESET)) << got.error().ToString();
  }
}

Task<void> RecordBroken(Connection& connection, std::optional<Error>& out, bool& ended, StopToken stop) {
  out = co_await connection.AwaitBroken(stop);
  ended = true;
}

CO_TEST_P(SocketTest, TellsOfAResetWithoutReading) {
  auto ends = co_await test.ConnectEnds();
  EXPECT_TRUE(co_await ends.client->Write(BytesOf("unread"), {}));
  std::optional<Error> broken;
  bool ended = false;
  Scope scope(loop);
  scope.Spawn(RecordBroken(*ends.server, broken, ended, {}));
  for (int i = 0; i < 10; ++i) co_await loop.Yield();
  EXPECT_FALSE(ended);
  ends.client->Reset();
  co_await scope.Join();
  CO_ASSERT_TRUE(broken.has_value());
  EXPECT_TRUE(broken->is_errno(ECONNRESET)) << broken->ToString();
  // Not forgotten with the kernel's having told it.
  const auto got = co_await ends.server->Read(BufferPool::kSmall, {});
  EXPECT_TRUE(!got && got.error().is_errno(ECONNRESET));
  EXPECT_FALSE(co_await ends.server->Write(BytesOf("x"), {}));
}

Task<void> ReadTwice(Connection& first, Connection& second, Result<Buffer>& out) {
  EXPECT_TRUE(co_await first.Read(BufferPool::kSmall, {}));
  out = co_await second.Read(BufferPool::kSmall, {});
}

// The watch learns of the reset in the turn in which the read begins, and takes the kernel's error.
CO_TEST_P(SocketTest, TakesNoResetForAnOrderlyEndWhenAWatchWasToldOfIt) {
  auto ends = co_await test.ConnectEnds();
  int pair[2];
  CO_ASSERT_TRUE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) == 0);
  const auto other = MakeConnection(loop, UniqueFd(pair[0]));
  const UniqueFd signal(pair[1]);
  std::optional<Error> broken;
  bool ended = false;
  auto got = Result<Buffer>();
  Scope scope(loop);
  scope.Spawn(ReadTwice(*other, *ends.server, got));
  scope.Spawn(RecordBroken(*ends.server, broken, ended, {}));
  for (int i = 0; i < 10; ++i) co_await loop.Yield();
  EXPECT_EQ(::send(signal.get(), "x", 1, 0), 1);
  ends.client->Reset();
  co_await scope.Join();
  CO_ASSERT_TRUE(!got.has_value());
  EXPECT_TRUE(got.error().is_errno(ECONNRESET)) << got.error().ToString();
}

CO_TEST_P(SocketTest, TakesNoOrderlyEndForABrokenConnection) {
  auto ends = co_await test.ConnectEnds();
  std::optional<Error> broken;
  bool ended = false;
  StopSource stop;
  Scope scope(loop);
  scope.Spawn(RecordBroken(*ends.server, broken, ended, stop.token()));
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.server), "");
  EXPECT_FALSE(ended);
  stop.RequestStop();
  co_await scope.Join();
  EXPECT_FALSE(broken);
  EXPECT_TRUE(co_await ends.server->ShutdownWrite({}));
  EXPECT_FALSE(co_await ends.server->AwaitBroken({})) << "both directions have ended";
}

CO_TEST_P(SocketTest, TellsOfAResetThatFollowsAnOrderlyEnd) {
  auto ends = co_await test.ConnectEnds();
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(*ends.server), "");
  ends.client->Reset();
  const auto broken = co_await ends.server->AwaitBroken({});
  CO_ASSERT_TRUE(broken.has_value());
  EXPECT_TRUE(broken->peer_gone()) << broken->ToString();
}

Task<void> WriteAndEnd(Connection& connection, const std::string& text) {
  EXPECT_TRUE(co_await connection.Write(BytesOf(text), {}));
  EXPECT_TRUE(co_await connection.ShutdownWrite({}));
}

CO_TEST_P(SocketTest, DeliversEverythingAfterAnOrderlyEndOfBothDirections) {
  // More than the peer's kernel takes before somebody reads, and less than ours takes at once.
  const std::string text(512u << 10, 'x');
  for (const bool peer_first : {false, true}) {
    auto ends = co_await test.ConnectEnds();
    ends.server->ResetUnlessEnded();
    if (peer_first) {
      EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
      EXPECT_EQ(co_await ReadAll(*ends.server), "");
    }
    co_await WriteAndEnd(*ends.server, text);
    if (!peer_first) {
      EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
      EXPECT_EQ(co_await ReadAll(*ends.server), "");
    }
    ends.server.reset();
    const auto got = co_await ReadAll(*ends.client);
    CO_ASSERT_TRUE(got.has_value());
    EXPECT_EQ(got->size(), text.size());
  }
}

CO_TEST_P(SocketTest, EndsItsOwnOperationsWhenItIsReset) {
  auto ends = co_await test.ConnectEnds();
  Scope scope(loop);
  scope.Spawn(ExpectClosedRead(*ends.client));
  scope.Spawn(ExpectClosedWrite(*ends.client));
  for (int i = 0; i < 10; ++i) co_await loop.Yield();
  EXPECT_EQ(scope.live(), 2u);
  ends.client->Reset();
  ends.client->Reset();
  EXPECT_EQ(scope.live(), 2u) << "they end on a later step";
  co_await scope.Join();
  co_await ExpectClosedRead(*ends.client);
}

CO_TEST_P(SocketTest, ReportsAWriteToAPeerThatIsGone) {
  auto ends = co_await test.ConnectEnds();
  ends.server.reset();
  Result<void> written;
  while (written) written = co_await ends.client->Write(BytesOf("x"), {});
  EXPECT_TRUE(written.error().peer_gone()) << written.error().ToString();
}

Task<void> WriteBytewise(Connection& connection, const std::string& text) {
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = BytesOf(text).subspan(i, 1);
    EXPECT_TRUE(co_await connection.Write(byte, {}));
  }
  EXPECT_TRUE(co_await connection.ShutdownWrite({}));
}

Task<void> TakeAll(Stream& stream) {
  while (true) {
    const auto got = co_await stream.Read(BufferPool::kBulkMax, {});
    if (!got || got->empty()) break;
  }
}

// However fast the peer takes it: a writer whose writes never had to wait would keep the loop for itself.
CO_TEST_P(SocketTest, SendsOnlySoMuchInOneTurn) {
  const auto ends = co_await test.ConnectEnds();
  Scope scope(loop);
  scope.Spawn(TakeAll(*ends.server));
  const std::string block(4096, 'x');
  std::map<uint64_t, size_t> sent;  // By turn.
  for (int i = 0; i < 1000; ++i) {
    const uint64_t turn = loop.stats().turns_total;
    CO_ASSERT_TRUE(co_await ends.client->Write(BytesOf(block), {}));
    if (turn == loop.stats().turns_total) sent[turn] += block.size();
  }
  for (const auto& [turn, bytes] : sent) EXPECT_LE(bytes, 256u * 1024) << turn;
  EXPECT_TRUE(co_await ends.client->ShutdownWrite({}));
  co_await scope.Join();
}

CO_TEST_P(SocketTest, DeliversSingleBytesInOrder) {
  auto ends = co_await test.ConnectEnds();
  std::string text;
  for (int i = 0; i < 5000; ++i) text.push_back(static_cast<char>(i * 7));
  Scope scope(loop);
  scope.Spawn(WriteBytewise(*ends.client, text));
  EXPECT_EQ(co_await ReadAll(*ends.server), text);
  co_await scope.Join();
}

CO_TEST_P(SocketTest, HoldsNoBuffersForIdleConnections) {
  const size_t before = loop.buffers().stats().in_use_bytes;
  std::vector<BackendTest::Ends> ends;
  for (int i = 0; i < 50; ++i) ends.push_back(co_await test.ConnectEnds());
  Scope scope(loop);
  for (auto& pair : ends) scope.Spawn(ExpectClosedRead(*pair.server));
  for (int i = 0; i < 10; ++i) co_await loop.Yield();
  // The io_uring backend keeps a few blocks with the kernel, for all connections together.
  EXPECT_LE(loop.buffers().stats().in_use_bytes, before + (4u << 20));
  for (auto& pair : ends) pair.server->Reset();
  co_await scope.Join();
}

// What a connection that waits for bytes costs in frames, unoptimised builds included. A budget, not a
// measurement: whoever breaks it decides that the larger frame is worth its bytes on every connection.
constexpr size_t kReadFrameBytesMax = 1024;

CO_TEST_P(SocketTest, WaitsForBytesInASmallFrame) {
  auto ends = co_await test.ConnectEnds();
  Scope scope(loop);
  scope.Spawn(ExpectClosedRead(*ends.client));
  const uint64_t one = ThreadFrameStats().live_bytes;
  scope.Spawn(ExpectClosedRead(*ends.server));
  const uint64_t frames = ThreadFrameStats().live_bytes - one;
  ::testing::Test::RecordProperty("read_frame_bytes", static_cast<int>(frames));
  EXPECT_LE(frames, kReadFrameBytesMax) << "with the frame of the test";
  ends.client->Reset();
  ends.server->Reset();
  co_await scope.Join();
}

Task<void> EchoOn(Loop& target, AcceptedConnection* accepted) {
  auto connection = accepted->Attach(target);
  co_await Echo(*connection);
}

CO_TEST_P(SocketTest, HandsAnAcceptedConnectionToAnotherLoop) {
  LoopPool pool(test.clock, 1, "worker", LoopOptions{.backend = test.GetParam()});
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  Loop& target = pool.loop(0);
  auto factory = [&target, accepted = accepted->get()] { return EchoOn(target, accepted); };
  Scope scope(loop);
  scope.Spawn(RunOn(loop, target, factory));
  EXPECT_TRUE(co_await (*client)->Write(BytesOf("over there"), {}));
  EXPECT_TRUE(co_await (*client)->ShutdownWrite({}));
  EXPECT_EQ(co_await ReadAll(**client), "over there");
  co_await scope.Join();
}

}  // namespace
}  // namespace heddle::io
