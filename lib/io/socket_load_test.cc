// Much data, many connections, and descriptors running out, on every backend.
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "lib/io/testing/backend_test.h"

namespace heddle::io {
namespace {

class SocketLoadTest : public BackendTest {};
INSTANTIATE_BACKENDS(SocketLoadTest);

constexpr size_t kTotal = 64u << 20;

// The stream's byte at a position: no period that a buffer size divides.
uint8_t ByteAt(size_t position) { return static_cast<uint8_t>((position * 2654435761u) >> 13); }

struct Progress {
  size_t written = 0;
  bool ended = false;
};

Task<void> WriteMuch(Connection& connection, Progress& progress) {
  std::vector<uint8_t> block(96 * 1024);
  while (progress.written < kTotal) {
    const size_t n = std::min(block.size(), kTotal - progress.written);
    for (size_t i = 0; i < n; ++i) block[i] = ByteAt(progress.written + i);
    const auto result = co_await connection.Write(std::span(block).first(n), {});
    CO_ASSERT_TRUE(result);
    progress.written += n;
  }
  EXPECT_TRUE(co_await connection.ShutdownWrite({}));
  progress.ended = true;
}

Task<void> ReadMuch(Connection& connection, size_t size_hint) {
  size_t position = 0;
  size_t wrong = 0;
  while (true) {
    const auto got = co_await connection.Read(size_hint, {});
    CO_ASSERT_TRUE(got);
    if (got->empty()) break;
    for (const uint8_t byte : got->bytes()) wrong += byte != ByteAt(position++);
  }
  EXPECT_EQ(position, kTotal);
  EXPECT_EQ(wrong, 0u);
}

CO_TEST_P(SocketLoadTest, MovesMuchBothWaysAtOnce) {
  auto ends = co_await test.ConnectEnds();
  Progress forth;
  Progress back;
  Scope scope(loop);
  scope.Spawn(WriteMuch(*ends.client, forth));
  scope.Spawn(WriteMuch(*ends.server, back));
  scope.Spawn(ReadMuch(*ends.client, BufferPool::kBulkMax));
  co_await ReadMuch(*ends.server, BufferPool::kRecord);
  co_await scope.Join();
}

// Turns until the writer has made no progress for a while of turns.
Task<void> UntilStalled(Loop& loop, const Progress& progress) {
  size_t seen = SIZE_MAX;
  while (seen != progress.written) {
    seen = progress.written;
    const bool slept = co_await loop.Sleep(absl::Milliseconds(20), {});
    EXPECT_TRUE(slept);
  }
}

CO_TEST_P(SocketLoadTest, StopsASenderWhoseReaderStalls) {
  auto ends = co_await test.ConnectEnds();
  const size_t before = loop.buffers().stats().in_use_bytes;
  Progress progress;
  Scope scope(loop);
  scope.Spawn(WriteMuch(*ends.client, progress));
  co_await UntilStalled(loop, progress);
  EXPECT_FALSE(progress.ended);
  EXPECT_LT(progress.written, 32u << 20) << "what the sockets hold, no more";
  EXPECT_EQ(loop.buffers().stats().in_use_bytes, before);
  co_await ReadMuch(*ends.server, BufferPool::kBulk);
  co_await scope.Join();
}

Task<void> AskAndListen(Network& network, Loop& loop, SocketAddress to, size_t& answered) {
  ConnectOptions options;
  options.to = to;
  auto client = co_await network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  CO_ASSERT_TRUE(co_await (*client)->Write(BytesOf("ping"), {}));
  answered += co_await ReadAll(**client) == "ping!" ? 1 : 0;
}

Task<void> AnswerWhenAllAreThere(std::unique_ptr<Connection> connection, Event& all_there) {
  const auto got = co_await ReadExactly(*connection, 4, {});
  CO_ASSERT_TRUE(got);
  EXPECT_TRUE(co_await all_there.Wait({}));
  EXPECT_TRUE(co_await connection->Write(BytesOf(*got + "!"), {}));
}

// Raises the soft limit of descriptors to the hard one, or lowers it, and puts it back.
class DescriptorLimit {
 public:
  explicit DescriptorLimit(rlim_t limit) {
    EXPECT_EQ(::getrlimit(RLIMIT_NOFILE, &before_), 0);
    Set(limit);
  }
  ~DescriptorLimit() { Set(before_.rlim_cur); }
  void Set(rlim_t limit) {
    const rlimit wanted{.rlim_cur = std::min(limit, before_.rlim_max), .rlim_max = before_.rlim_max};
    EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &wanted), 0);
  }
  rlim_t before() const { return before_.rlim_cur; }

 private:
  rlimit before_{};
};

CO_TEST_P(SocketLoadTest, ServesAThousandConnectionsAtOnce) {
  constexpr size_t kConnections = 1000;
  const DescriptorLimit limit(RLIM_INFINITY);
  const size_t descriptors = OpenDescriptors();
  {
    auto listener = test.network.Listen(loop, SocketAddress{IpAddress::V4(127, 0, 0, 1), 0});
    CO_ASSERT_TRUE(listener);
    size_t answered = 0;
    Event all_there(loop);
    Scope scope(loop);
    for (size_t i = 0; i < kConnections; ++i) {
      scope.Spawn(AskAndListen(test.network, loop, (*listener)->local(), answered));
    }
    for (size_t i = 0; i < kConnections; ++i) {
      auto accepted = co_await (*listener)->Accept({});
      CO_ASSERT_TRUE(accepted);
      scope.Spawn(AnswerWhenAllAreThere((*accepted)->Attach(loop), all_there));
    }
    all_there.Set();
    co_await scope.Join();
    EXPECT_EQ(answered, kConnections);
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
}

CO_TEST_P(SocketLoadTest, FailsReadsAtTheLimitOfTheBufferPoolAndRecovers) {
  auto ends = co_await test.ConnectEnds();
  std::vector<Buffer> held;
  do {
    held.push_back(loop.buffers().Allocate(BufferPool::kSmall));
  } while (held.back().capacity() > 0);
  std::string sent;
  std::string received;
  Result<Buffer> got;
  do {  // The io_uring backend has blocks with the kernel, which are used up first.
    sent.push_back(static_cast<char>('a' + sent.size() % 26));
    EXPECT_TRUE(co_await ends.client->Write(BytesOf(sent).last(1), {}));
    got = co_await ends.server->Read(BufferPool::kSmall, {});
    if (got) received.append(got->bytes().begin(), got->bytes().end());
    if (got) held.push_back(*std::move(got));
  } while (got && sent.size() < 1000);
  CO_ASSERT_TRUE(!got);
  EXPECT_TRUE(got.error().is(IoCode::kLimit)) << got.error().ToString();
  held.clear();
  EXPECT_EQ(received + (co_await ReadExactly(*ends.server, 1)).value_or("?"), sent) << "no byte was lost";
}

// UndefinedBehaviorSanitizer needs descriptors of its own to look at an object's type, and takes their lack for
// a wild pointer.
#if !__has_feature(undefined_behavior_sanitizer)
CO_TEST_P(SocketLoadTest, PausesAcceptingWhenDescriptorsRunOutAndGoesOn) {
  auto listener = test.network.Listen(loop, SocketAddress{IpAddress::V4(127, 0, 0, 1), 0});
  CO_ASSERT_TRUE(listener);
  ConnectOptions options;
  options.to = (*listener)->local();
  auto client = co_await test.network.Connect(loop, std::move(options), {});
  CO_ASSERT_TRUE(client);

  const UniqueFd next(::dup(0));  // The lowest free number: the limit of numbers from here on leaves none.
  DescriptorLimit limit(static_cast<rlim_t>(next.get()));
  Deadline while_full(loop, {}, absl::Milliseconds(250));
  const auto none = co_await (*listener)->Accept(while_full.token());
  EXPECT_TRUE(!none && none.error().is(IoCode::kDeadline));
  EXPECT_GE((*listener)->accept_pauses_total(), 1u);
  EXPECT_LE((*listener)->accept_pauses_total(), 5u) << "it pauses, it does not spin";

  limit.Set(limit.before());
  EXPECT_TRUE(co_await (*listener)->Accept({}));
}
#endif

}  // namespace
}  // namespace heddle::io
