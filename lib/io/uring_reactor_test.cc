// What the io_uring backend does with the blocks that it provides to the kernel.

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <memory>
#include <vector>

#include "lib/base/unique_fd.h"
#include "lib/io/reactor.h"

namespace heddle::io {
namespace {

constexpr size_t kBurst = 100;

// One byte that is there, on a connection of its own.
class Receive final : public ReceiveOperation {
 public:
  enum class Says { kByte, kNothing };
  explicit Receive(Says says = Says::kByte) {
    int ends[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
    receiver_ = UniqueFd(ends[0]);
    sender_ = UniqueFd(ends[1]);
    if (says == Says::kByte) Say();
    fd = receiver_.get();
  }
  void Say() { CHECK(::send(sender_.get(), "x", 1, MSG_NOSIGNAL) == 1); }
  int32_t result = 0;

 private:
  void OnComplete(int32_t completed) override { result = completed; }
  UniqueFd receiver_;
  UniqueFd sender_;
};

void WaitOnce(Reactor& reactor) { reactor.Wait(MonotonicTime(), MonotonicTime::FromNanoseconds(1'000'000)); }

// So many receives at once, whose bytes go again when all have come.
void ReceiveAtOnce(Reactor& reactor, size_t count) {
  std::vector<std::unique_ptr<Receive>> receives;
  for (size_t i = 0; i < count; ++i) receives.push_back(std::make_unique<Receive>());
  for (auto& receive : receives) reactor.Start(*receive);
  for (auto& receive : receives) {
    while (receive->in_flight()) WaitOnce(reactor);
    EXPECT_EQ(receive->result, 1);
    EXPECT_EQ(receive->buffer.size(), 1u);
  }
}

TEST(UringReactor, TakesBlocksBackThatOnlyABurstNeeded) {
  BufferPool pool(size_t{64} << 20);
  auto made = MakeIoUringReactor(pool, {});
  if (!made) GTEST_SKIP() << "no io_uring here: " << made.error().ToString();
  std::unique_ptr<Reactor> reactor = *std::move(made);
  const size_t few = pool.stats().in_use_bytes;
  for (int round = 0; round < 3; ++round) {
    ReceiveAtOnce(*reactor, kBurst);
    ReceiveAtOnce(*reactor, 1);
    EXPECT_GT(pool.stats().in_use_bytes, few) << "the next burst finds them";
    reactor->Trim();
    for (int turns = 0; turns < 1000 && pool.stats().in_use_bytes > few; ++turns) WaitOnce(*reactor);
    EXPECT_EQ(pool.stats().in_use_bytes, few);
    ReceiveAtOnce(*reactor, 1);
    EXPECT_EQ(pool.stats().in_use_bytes, few);
  }
}

TEST(UringReactor, HasFewBlocksWhenSeveralReceivesHaveFoundNone) {
  BufferPool pool(size_t{64} << 20);
  auto made = MakeIoUringReactor(pool, {});
  if (!made) GTEST_SKIP() << "no io_uring here: " << made.error().ToString();
  std::unique_ptr<Reactor> reactor = *std::move(made);
  for (int i = 0; i < 3; ++i) ReceiveAtOnce(*reactor, 1);
  const size_t few = pool.stats().in_use_bytes;
  EXPECT_GT(few, 0u);
  for (int i = 0; i < 2; ++i) {
    reactor->Trim();
    for (int turns = 0; turns < 10; ++turns) WaitOnce(*reactor);
  }
  EXPECT_EQ(pool.stats().in_use_bytes, 0u);
  ReceiveAtOnce(*reactor, 3);
  ReceiveAtOnce(*reactor, 1);
  EXPECT_EQ(pool.stats().in_use_bytes, few);
}

// Whoever has nothing to say is not ended because there is no memory; whoever has is told, and its byte stays.
TEST(UringReactor, EndsOnlyReceivesForWhichThereIsSomethingWhenThePoolIsAtItsLimit) {
  BufferPool pool(size_t{1} << 20);
  auto made = MakeIoUringReactor(pool, {});
  if (!made) GTEST_SKIP() << "no io_uring here: " << made.error().ToString();
  std::unique_ptr<Reactor> reactor = *std::move(made);
  for (int i = 0; i < 2; ++i) {
    reactor->Trim();
    for (int turns = 0; turns < 10; ++turns) WaitOnce(*reactor);
  }
  (void)pool.Trim();
  std::vector<Buffer> all;
  for (Buffer block = pool.Allocate(1); block.capacity() > 0; block = pool.Allocate(1)) all.push_back(std::move(block));
  Receive silent(Receive::Says::kNothing);
  Receive speaks;
  reactor->Start(silent);
  reactor->Start(speaks);
  while (speaks.in_flight()) WaitOnce(*reactor);
  EXPECT_EQ(speaks.result, -ENOBUFS);
  EXPECT_TRUE(silent.in_flight());
  all.clear();
  silent.Say();
  while (silent.in_flight()) WaitOnce(*reactor);
  EXPECT_EQ(silent.result, 1);
  reactor->Start(speaks);
  while (speaks.in_flight()) WaitOnce(*reactor);
  EXPECT_EQ(speaks.result, 1);
}

TEST(UringReactor, HasNoBlocksAfterATimeWithoutReceives) {
  BufferPool pool(size_t{64} << 20);
  auto made = MakeIoUringReactor(pool, {});
  if (!made) GTEST_SKIP() << "no io_uring here: " << made.error().ToString();
  std::unique_ptr<Reactor> reactor = *std::move(made);
  for (int round = 0; round < 3; ++round) {
    // The first finds none, the second has made the kernel have some.
    for (int i = 0; i < 3; ++i) ReceiveAtOnce(*reactor, 1);
    EXPECT_GT(pool.stats().in_use_bytes, 0u);
    reactor->Trim();
    for (int turns = 0; turns < 10; ++turns) WaitOnce(*reactor);
    EXPECT_GT(pool.stats().in_use_bytes, 0u);
    reactor->Trim();
    for (int turns = 0; turns < 1000 && pool.stats().in_use_bytes > 0; ++turns) WaitOnce(*reactor);
    EXPECT_EQ(pool.stats().in_use_bytes, 0u);
  }
}

}  // namespace
}  // namespace heddle::io
