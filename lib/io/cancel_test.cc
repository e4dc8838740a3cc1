// Stop requests, deadlines and cancelled operations, on every backend.
#include <gtest/gtest.h>
#include <fcntl.h>
#include <poll.h>

#include "lib/io/testing/backend_test.h"

namespace heddle::io {
namespace {

class CancelTest : public BackendTest {};
INSTANTIATE_BACKENDS(CancelTest);

constexpr int kMoments = 8;  // Turns of the loop after which an operation on loopback has long ended or is waiting.

SocketAddress Loopback(uint16_t port = 0) { return {IpAddress::V4(127, 0, 0, 1), port}; }

Task<void> StopAfter(Loop& loop, StopSource& stop, int turns) {
  for (int i = 0; i < turns; ++i) co_await loop.Yield();
  stop.RequestStop();
}

Task<void> WriteAfter(Loop& loop, Connection& connection, std::string_view text, int turns) {
  for (int i = 0; i < turns; ++i) co_await loop.Yield();
  EXPECT_TRUE(co_await connection.Write(BytesOf(text), {}));
}

CO_TEST_P(CancelTest, StartsNothingWhenAlreadyStopped) {
  auto ends = co_await test.ConnectEnds();
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  StopSource stop;
  stop.RequestStop();
  EXPECT_TRUE((co_await ends.client->Read(BufferPool::kSmall, stop.token())).error().is(IoCode::kStopped));
  EXPECT_TRUE((co_await ends.client->Write(BytesOf("x"), stop.token())).error().is(IoCode::kStopped));
  EXPECT_TRUE((co_await (*listener)->Accept(stop.token())).error().is(IoCode::kStopped));
  ConnectOptions options;
  options.to = (*listener)->local();
  EXPECT_TRUE((co_await test.network.Connect(loop, std::move(options), stop.token())).error().is(IoCode::kStopped));
  EXPECT_TRUE((co_await WaitReady(loop, 0, POLLIN, stop.token())).error().is(IoCode::kStopped));
}

CO_TEST_P(CancelTest, EndsAReadAtItsDeadlineAndLosesNoByte) {
  auto ends = co_await test.ConnectEnds();
  Deadline soon(loop, {}, absl::Milliseconds(5));
  const auto late = co_await ends.server->Read(BufferPool::kSmall, soon.token());
  CO_ASSERT_TRUE(!late);
  EXPECT_TRUE(late.error().is(IoCode::kDeadline));
  EXPECT_TRUE(co_await ends.client->Write(BytesOf("after all"), {}));
  EXPECT_EQ(co_await ReadExactly(*ends.server, 9), "after all");
}

// Bytes arrive at one moment, the stop at another: each byte is read exactly once, by the stopped read or by
// the next one.
CO_TEST_P(CancelTest, StopsAReadAtAnyMomentWithoutLosingBytes) {
  auto ends = co_await test.ConnectEnds();
  for (int written = 0; written < kMoments; ++written) {
    for (int stopped = 0; stopped < kMoments; ++stopped) {
      StopSource stop;
      Scope scope(loop);
      scope.Spawn(WriteAfter(loop, *ends.client, "abc", written));
      scope.Spawn(StopAfter(loop, stop, stopped));
      auto got = co_await ends.server->Read(BufferPool::kSmall, stop.token());
      std::string text;
      if (got) text.assign(got->bytes().begin(), got->bytes().end());
      if (!got) EXPECT_TRUE(got.error().is(IoCode::kStopped)) << got.error().ToString();
      const auto rest = co_await ReadExactly(*ends.server, 3 - text.size());
      EXPECT_EQ(text + rest.value_or("?"), "abc") << written << " " << stopped;
      co_await scope.Join();
    }
  }
}

CO_TEST_P(CancelTest, StopsAStalledWriteAtAnyMoment) {
  const std::string much(32u << 20, 'x');
  for (int stopped = 0; stopped < kMoments; ++stopped) {
    auto ends = co_await test.ConnectEnds();
    StopSource stop;
    Scope scope(loop);
    scope.Spawn(StopAfter(loop, stop, stopped));
    const auto written = co_await ends.client->Write(BytesOf(much), stop.token());
    CO_ASSERT_TRUE(!written);
    EXPECT_TRUE(written.error().is(IoCode::kStopped)) << written.error().ToString();
    co_await scope.Join();
  }
}

CO_TEST_P(CancelTest, StopsAnAcceptAtAnyMomentAndLeaksNoDescriptor) {
  const size_t before = OpenDescriptors();
  for (int stopped = 0; stopped < kMoments; ++stopped) {
    auto listener = test.network.Listen(loop, Loopback());
    CO_ASSERT_TRUE(listener);
    StopSource stop;
    Scope scope(loop);
    scope.Spawn(StopAfter(loop, stop, stopped));
    ConnectOptions options;
    options.to = (*listener)->local();
    auto client = co_await test.network.Connect(loop, std::move(options), {});
    CO_ASSERT_TRUE(client);
    const auto accepted = co_await (*listener)->Accept(stop.token());
    if (!accepted) EXPECT_TRUE(accepted.error().is(IoCode::kStopped)) << accepted.error().ToString();
    co_await scope.Join();
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

CO_TEST_P(CancelTest, StopsAConnectAtAnyMomentAndLeaksNoDescriptor) {
  auto listener = test.network.Listen(loop, Loopback());
  CO_ASSERT_TRUE(listener);
  const size_t before = OpenDescriptors();
  for (int stopped = 0; stopped < kMoments; ++stopped) {
    StopSource stop;
    Scope scope(loop);
    scope.Spawn(StopAfter(loop, stop, stopped));
    ConnectOptions options;
    options.to = (*listener)->local();
    const auto client = co_await test.network.Connect(loop, std::move(options), stop.token());
    if (!client) EXPECT_TRUE(client.error().is(IoCode::kStopped)) << client.error().ToString();
    co_await scope.Join();
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

// A full backlog leaves connects waiting: the way to a connect that hangs without leaving this machine.
CO_TEST_P(CancelTest, EndsAHangingConnectAtItsDeadline) {
  auto fd = ListenTcp(Loopback(), 0);
  CO_ASSERT_TRUE(fd);
  bool hung = false;
  std::vector<std::unique_ptr<Connection>> filling;
  for (int i = 0; i < 10 && !hung; ++i) {
    Deadline soon(loop, {}, absl::Milliseconds(50));
    ConnectOptions options;
    options.to = LocalAddress(fd->get());
    auto client = co_await test.network.Connect(loop, std::move(options), soon.token());
    hung = !client;
    if (hung) EXPECT_TRUE(client.error().is(IoCode::kDeadline)) << client.error().ToString();
    if (!hung) filling.push_back(*std::move(client));
  }
  EXPECT_TRUE(hung);
}

CO_TEST_P(CancelTest, PollsOnceAndSeesWhatIsReadyAlready) {
  int ends[2];
  CO_ASSERT_TRUE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
  UniqueFd reader(ends[0]);
  UniqueFd writer(ends[1]);
  EXPECT_EQ((co_await WaitReady(loop, writer.get(), POLLOUT, {})).value() & POLLOUT, POLLOUT);
  for (int i = 0; i < 2; ++i) {
    Deadline soon(loop, {}, absl::Milliseconds(5));
    EXPECT_TRUE((co_await WaitReady(loop, reader.get(), POLLIN, soon.token())).error().is(IoCode::kDeadline));
  }
  EXPECT_EQ(::write(writer.get(), "x", 1), 1);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ((co_await WaitReady(loop, reader.get(), POLLIN, {})).value() & POLLIN, POLLIN) << "still unread";
  }
}

Task<void> WriteByteLater(Loop& loop, int fd) {
  for (int i = 0; i < 3; ++i) co_await loop.Yield();
  EXPECT_EQ(::write(fd, "x", 1), 1);
}

// Numbers of descriptors are reused at once: what the reactor knew of the old one must not be held against the new one.
CO_TEST_P(CancelTest, PollsANewDescriptorWithAnOldNumber) {
  for (int i = 0; i < 3; ++i) {
    int ends[2];
    CO_ASSERT_TRUE(::pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    const UniqueFd reader(ends[0]);
    const UniqueFd writer(ends[1]);
    Scope scope(loop);
    scope.Spawn(WriteByteLater(loop, writer.get()));
    Deadline soon(loop, {}, absl::Seconds(10));
    EXPECT_TRUE(co_await WaitReady(loop, reader.get(), POLLIN, soon.token()));
    co_await scope.Join();
  }
}

CO_TEST_P(CancelTest, ReportsADescriptorThatCannotBePolled) {
  const auto ready = co_await WaitReady(loop, 1 << 20, POLLIN, {});
  EXPECT_TRUE(!ready || (*ready & POLLNVAL) != 0);
}

}  // namespace
}  // namespace heddle::io
