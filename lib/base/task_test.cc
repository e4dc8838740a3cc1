#include "lib/base/task.h"

#include <gtest/gtest.h>

#include <memory>

#include "lib/base/executor.h"
#include "lib/base/result.h"
#include "lib/base/scope.h"

namespace heddle {
namespace {

Task<int> Answer() { co_return 42; }
Task<int> Nested(int depth) {
  if (depth == 0) co_return 0;
  co_return 1 + co_await Nested(depth - 1);
}
Task<Result<int, int>> Fails() { co_return std::unexpected(7); }
Task<Result<int, int>> Forwards() {
  CO_TRY(const int value, co_await Fails());
  co_return value + 1;
}

TEST(Task, DoesNotStartBeforeItIsAwaited) {
  bool started = false;
  {
    auto make = [](bool* flag) -> Task<void> {
      *flag = true;
      co_return;
    };
    Task<void> task = make(&started);
  }
  EXPECT_FALSE(started);
}

TEST(Task, ReturnsItsValueToTheWaiter) {
  SystemClock clock;
  Executor executor(clock);
  Scope scope(executor);
  int got = 0;
  auto run = [](int* out) -> Task<void> { *out = co_await Answer(); };
  scope.Spawn(run(&got));
  EXPECT_EQ(got, 42);
}

TEST(Task, TransfersControlWithoutGrowingTheStack) {
  SystemClock clock;
  Executor executor(clock);
  Scope scope(executor);
  int got = 0;
  auto run = [](int* out) -> Task<void> {
    for (int i = 0; i < 200000; ++i) *out += co_await Answer() / 42;
  };
  scope.Spawn(run(&got));
  EXPECT_EQ(got, 200000);
}

TEST(Task, NestsDeeply) {
  SystemClock clock;
  Executor executor(clock);
  Scope scope(executor);
  int got = 0;
  auto run = [](int* out) -> Task<void> { *out = co_await Nested(1000); };
  scope.Spawn(run(&got));
  EXPECT_EQ(got, 1000);
}

TEST(Task, TryHandsTheErrorToTheCaller) {
  SystemClock clock;
  Executor executor(clock);
  Scope scope(executor);
  int error = 0;
  auto run = [](int* out) -> Task<void> {
    auto result = co_await Forwards();
    *out = result ? 0 : result.error();
  };
  scope.Spawn(run(&error));
  EXPECT_EQ(error, 7);
}

TEST(Task, GivesItsFrameBack) {
  const uint64_t before = ThreadFrameStats().live;
  {
    SystemClock clock;
    Executor executor(clock);
    Scope scope(executor);
    int got = 0;
    auto run = [](int* out) -> Task<void> { *out = co_await Nested(10); };
    scope.Spawn(run(&got));
  }
  EXPECT_EQ(ThreadFrameStats().live, before);
}

TEST(Frames, ATrimFreesThoseThatWereNotNeededSinceTheLastOne) {
  while (ThreadFrameStats().free_bytes > 0) (void)TrimFrames();
  const auto use = [](int count) {
    std::vector<void*> frames;
    for (int i = 0; i < count; ++i) frames.push_back(AllocateFrame(100));
    for (void* frame : frames) FreeFrame(frame, 100);
  };
  use(3);
  const uint64_t kept = ThreadFrameStats().free_bytes;
  const size_t frame = kept / 3;  // Zero under sanitizers, which see each frame on its own.
  EXPECT_EQ(TrimFrames(), 0u) << "three were needed";
  use(1);
  EXPECT_EQ(ThreadFrameStats().free_bytes, kept);
  EXPECT_EQ(TrimFrames(), 2 * frame);
  EXPECT_EQ(TrimFrames(), frame);
  EXPECT_EQ(ThreadFrameStats().free_bytes, 0u);
}

}  // namespace
}  // namespace heddle
