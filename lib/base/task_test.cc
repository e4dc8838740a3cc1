#include "lib/base/task.h"

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "lib/base/executor.h"
#include "lib/base/frame_slabs.h"
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

TEST(FrameSlabs, GiveTheirPagesBackAndUseTheirAddressesAgain) {
  FrameSlabs slabs;
  constexpr size_t kFrames = 10'000;
  constexpr size_t kSize = 304;
  for (int round = 0; round < 3; ++round) {
    std::set<uint8_t*> frames;
    for (size_t i = 0; i < kFrames; ++i) {
      auto* frame = static_cast<uint8_t*>(slabs.Allocate(kSize));
      ASSERT_NE(frame, nullptr);
      ASSERT_TRUE(slabs.Owns(frame) && slabs.Owns(frame + kSize - 1));
      std::memset(frame, static_cast<int>(i), kSize);
      ASSERT_TRUE(frames.insert(frame).second);
    }
    EXPECT_LT(*frames.rbegin() - *frames.begin(), static_cast<ptrdiff_t>(kFrames * kSize * 11 / 10));
    uint8_t* last = nullptr;
    for (uint8_t* frame : frames) {
      ASSERT_TRUE(last == nullptr || frame - last >= static_cast<ptrdiff_t>(kSize));
      last = frame;
    }
    for (uint8_t* frame : frames) slabs.Free(frame);
    EXPECT_LE(slabs.empty_bytes(), FrameSlabs::kEmptyMax * FrameSlabs::kSlabBytes);
    EXPECT_GT(slabs.Trim(), kFrames * kSize / 2);
  }
  EXPECT_GT(slabs.Trim(), 0u);
  EXPECT_EQ(slabs.empty_bytes(), 0u);
}

TEST(FrameSlabs, HoldFramesOfManySizesAtOnce) {
  FrameSlabs slabs;
  std::vector<std::pair<uint8_t*, size_t>> frames;
  for (size_t i = 0; i < 20'000; ++i) {
    const size_t size = (i * 7 % (FrameSlabs::kFrameMax / FrameSlabs::kStep) + 1) * FrameSlabs::kStep;
    auto* frame = static_cast<uint8_t*>(slabs.Allocate(size));
    ASSERT_NE(frame, nullptr);
    std::memset(frame, static_cast<int>(i), size);
    frames.emplace_back(frame, size);
    if (i % 3 == 0) {  // Others go before.
      auto& [other, bytes] = frames[i / 3 * 2];
      if (other != nullptr) slabs.Free(std::exchange(other, nullptr));
    }
  }
  for (size_t i = 0; i < frames.size(); ++i) {
    const auto [frame, size] = frames[i];
    if (frame == nullptr) continue;
    ASSERT_EQ(frame[0], static_cast<uint8_t>(i));
    ASSERT_EQ(frame[size - 1], static_cast<uint8_t>(i));
    slabs.Free(frame);
  }
}

TEST(Frames, ABurstOfThemIsGivenBackAtOnce) {
  while (ThreadFrameStats().free_bytes > 0) (void)TrimFrames();
  std::vector<void*> frames;
  for (int i = 0; i < 10'000; ++i) frames.push_back(AllocateFrame(500));
  for (void* frame : frames) FreeFrame(frame, 500);
  EXPECT_LT(ThreadFrameStats().free_bytes, 600'000u);
}

// Pairs of a short-lived and a long-lived frame of the same size: when the short-lived ones have ended, their memory
// goes back, although the others are there.
TEST(Frames, LongLivedOnesLeaveNoHolesAmongOthers) {
  constexpr size_t kFrames = 5000;
  constexpr size_t kSize = 304;
  constexpr size_t kBytes = kFrames * kSize;
  while (ThreadFrameStats().free_bytes > 0) (void)TrimFrames();
  const FrameStats before = ThreadFrameStats();
  std::vector<void*> short_lived, long_lived;
  for (size_t i = 0; i < kFrames; ++i) {
    short_lived.push_back(AllocateFrame(kSize));
    long_lived.push_back(AllocateLongLivedFrame(kSize));
  }
  EXPECT_EQ(ThreadFrameStats().live_bytes - before.live_bytes, 2 * kBytes);
  for (void* frame : short_lived) FreeFrame(frame, kSize);
  size_t given_back = 0;
  for (int i = 0; i < 3; ++i) given_back += TrimFrames();
  if (!kPlainFrames) {
    EXPECT_GT(given_back, kBytes * 9 / 10);
  }
  for (void* frame : long_lived) FreeFrame(frame, kSize);
  EXPECT_EQ(ThreadFrameStats().live_bytes, before.live_bytes);
  for (int i = 0; i < 3; ++i) given_back += TrimFrames();
  if (!kPlainFrames) {
    EXPECT_GT(given_back, 2 * kBytes * 9 / 10);
  }
}

// What a lone connection leaves is not the memory of a burst, after which the heap is trimmed.
TEST(Frames, OfOneLongLivedOneLittleIsGivenBack) {
  while (ThreadFrameStats().free_bytes > 0) (void)TrimFrames();
  FreeFrame(AllocateLongLivedFrame(304), 304);
  size_t given_back = 0;
  for (int i = 0; i < 3; ++i) given_back += TrimFrames();
  EXPECT_LT(given_back, 4096u);
}

}  // namespace
}  // namespace heddle
