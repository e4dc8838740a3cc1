#include "lib/io/loop.h"

#include <gtest/gtest.h>

#include <iterator>
#include <latch>
#include <numeric>
#include <thread>
#include <vector>

#include "lib/base/testing/fake_clock.h"
#include "lib/io/loop_pool.h"
#include "lib/io/testing/co_test.h"

namespace heddle::io {
namespace {

constexpr LoopOptions kEpoll{.backend = BackendChoice::kEpoll};

Task<void> Nap(Loop& loop, int milliseconds, std::vector<int>& order) {
  EXPECT_TRUE(co_await loop.Sleep(absl::Milliseconds(milliseconds), {}));
  order.push_back(milliseconds);
}

TEST(Loop, RunsTimersInOrder) {
  FakeClock clock;
  Loop loop(clock, kEpoll);
  std::vector<int> order;
  Scope scope(loop);
  for (const int milliseconds : {6, 1, 3}) scope.Spawn(Nap(loop, milliseconds, order));
  clock.Advance(absl::Milliseconds(7));
  while (scope.live() > 0) loop.Turn(loop.Now());
  EXPECT_EQ(order, (std::vector<int>{1, 3, 6}));
}

CO_TEST(Loop, RunsMessagesInTheOrderPosted) {
  std::vector<int> order;
  Event done(loop);
  for (int i = 0; i < 3; ++i) loop.Post([&order, i] { order.push_back(i); });
  loop.Post([&done] { done.Set(); });
  EXPECT_TRUE(co_await done.Wait({}));
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2}));
}

Task<void> YieldOften(Loop& loop, int times, int& done) {
  for (; done < times; ++done) co_await loop.Yield();
}

TEST(Loop, RunsWhatAStepMakesReadyInTheSameTurnUpToALimit) {
  SystemClock clock;
  Loop loop(clock, kEpoll);
  Scope scope(loop);
  int done = 0;
  scope.Spawn(YieldOften(loop, 100, done));
  loop.Turn(loop.Now());
  EXPECT_GE(done, 2) << "a chain of coroutines needs no system call between its links";
  EXPECT_LT(done, 20) << "whoever is always ready keeps nobody from the kernel's events";
  while (scope.live() > 0) loop.Turn(loop.Now());
  EXPECT_EQ(done, 100);
}

TEST(Loop, RunsOneStepInATurnWhileMuchIsReady) {
  SystemClock clock;
  Loop loop(clock, kEpoll);
  Scope scope(loop);
  int done[100] = {};
  for (int& one : done) scope.Spawn(YieldOften(loop, 10, one));
  const auto all = [&] { return std::accumulate(std::begin(done), std::end(done), 0); };
  const int before = all();
  loop.Turn(loop.Now());
  EXPECT_LE(all() - before, 100);
  while (scope.live() > 0) loop.Turn(loop.Now());
  EXPECT_EQ(all(), 1000);
}

TEST(Loop, DestroysMessagesThatNeverRan) {
  auto alive = std::make_shared<int>(1);
  {
    SystemClock clock;
    Loop loop(clock, kEpoll);
    loop.Post([alive] {});
  }
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Loop, GivesIdleBuffersBack) {
  FakeClock clock;
  Loop loop(clock, kEpoll);
  loop.buffers().Allocate(BufferPool::kBulk).Release();
  loop.Turn(loop.Now());
  EXPECT_GT(loop.buffers().stats().mapped_bytes, 0u) << "somebody may want it again at once";
  clock.Advance(absl::Seconds(3));
  loop.Turn(loop.Now());
  EXPECT_EQ(loop.buffers().stats().mapped_bytes, 0u);
}

TEST(LoopPool, RunsMessagesOfManyThreadsEachOnce) {
  SystemClock clock;
  LoopPool pool(clock, 3, "worker", kEpoll);
  constexpr int kMessages = 2000;
  std::vector<int> counts(pool.size());  // Each written on its loop only.
  std::latch all(static_cast<ptrdiff_t>(pool.size()) * 2 * kMessages);
  auto post = [&] {
    for (int i = 0; i < kMessages; ++i) {
      for (size_t to = 0; to < pool.size(); ++to) {
        pool.loop(to).Post([&, to] { ++counts[to]; all.count_down(); });
      }
    }
  };
  std::thread first(post);
  std::thread second(post);
  all.wait();
  first.join();
  second.join();
  for (const int count : counts) EXPECT_EQ(count, 2 * kMessages);
}

TEST(LoopPool, LoopsPostToEachOther) {
  SystemClock clock;
  LoopPool pool(clock, 2, "worker", kEpoll);
  std::latch done(1);
  int passes = 0;  // Handed over with the messages.
  absl::AnyInvocable<void(size_t)> pass = [&](size_t at) {
    if (++passes == 10000) return done.count_down();
    pool.loop(1 - at).Post([&pass, at] { pass(1 - at); });
  };
  pool.loop(0).Post([&pass] { pass(0); });
  done.wait();
  EXPECT_EQ(passes, 10000);
}

Task<void> NoteThread(Loop& target, std::thread::id* ran_on) {
  co_await target.Yield();
  *ran_on = std::this_thread::get_id();
}

CO_TEST(RunOn, RunsATaskOnAnotherLoopAndComesBack) {
  LoopPool pool(loop.clock(), 1, "worker", kEpoll);
  const std::thread::id home = std::this_thread::get_id();
  std::thread::id ran_on;
  Loop& target = pool.loop(0);
  auto factory = [&target, &ran_on] { return NoteThread(target, &ran_on); };
  co_await RunOn(loop, target, factory);
  EXPECT_EQ(std::this_thread::get_id(), home);
  EXPECT_NE(ran_on, home);
  EXPECT_NE(ran_on, std::thread::id());
}

}  // namespace
}  // namespace heddle::io
