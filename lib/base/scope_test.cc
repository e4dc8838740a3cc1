#include "lib/base/scope.h"

#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "lib/base/testing/fake_clock.h"

namespace heddle {
namespace {

Task<void> WaitForStop(Executor& executor, StopToken stop, bool* stopped) {
  while (co_await executor.Sleep(absl::Seconds(1), stop)) {
  }
  *stopped = true;
}

Task<void> DrainThenNote(Scope& scope, absl::Duration grace, bool* drained) {
  co_await scope.Drain(grace);
  *drained = true;
}

TEST(Scope, DrainAsksItsTasksToStopAndWaitsForThem) {
  FakeClock clock;
  Executor executor(clock);
  Scope outer(executor);
  Scope scope(executor);
  bool stopped = false;
  bool drained = false;
  scope.Spawn(WaitForStop(executor, scope.stop(), &stopped));
  outer.Spawn(DrainThenNote(scope, absl::ZeroDuration(), &drained));
  while (outer.live() > 0) executor.RunReady();
  EXPECT_TRUE(stopped);
  EXPECT_TRUE(drained);
}

TEST(Scope, DrainGivesItsTasksTheGraceBeforeItStopsThem) {
  FakeClock clock;
  Executor executor(clock);
  Scope outer(executor);
  Scope scope(executor);
  bool stopped = false;
  bool drained = false;
  scope.Spawn(WaitForStop(executor, scope.stop(), &stopped));
  outer.Spawn(DrainThenNote(scope, absl::Seconds(3), &drained));
  for (int i = 0; i < 2; ++i) {
    clock.Advance(absl::Seconds(1));
    while (!executor.idle() || executor.NextTimer() <= clock.Monotonic()) executor.RunReady();
  }
  EXPECT_FALSE(stopped);
  clock.Advance(absl::Seconds(1));
  for (int i = 0; i < 10; ++i) executor.RunReady();
  EXPECT_TRUE(drained);
}

// Notes how many tasks the scope counts when it goes.
struct Leaving {
  explicit Leaving(const Scope& scope, size_t* live) : scope(scope), live(live) {}
  Leaving(Leaving&& other) noexcept : scope(other.scope), live(std::exchange(other.live, nullptr)) {}
  ~Leaving() {
    if (live != nullptr) *live = scope.live();
  }
  const Scope& scope;
  size_t* live;
};

Task<void> Own(Executor& executor, Leaving, bool wait) {
  if (wait) co_await executor.Yield();
}

TEST(Scope, ATaskIsGoneWithAllThatItOwnsWhenItNoLongerCounts) {
  FakeClock clock;
  Executor executor(clock);
  Scope scope(executor);
  for (const bool waits : {false, true}) {
    size_t live = 0;
    scope.Spawn(Own(executor, Leaving(scope, &live), waits));
    EXPECT_EQ(scope.live(), waits ? 1u : 0u);
    while (scope.live() > 0) executor.RunReady();
    EXPECT_EQ(live, 1u);
  }
}

TEST(Scope, ATaskCostsItsFrameAndNoOther) {
  FakeClock clock;
  Executor executor(clock);
  Scope scope(executor);
  const FrameStats before = ThreadFrameStats();
  scope.Spawn(Own(executor, Leaving(scope, nullptr), true));
  EXPECT_EQ(ThreadFrameStats().allocated_total, before.allocated_total + 1);
  while (scope.live() > 0) executor.RunReady();
  EXPECT_EQ(ThreadFrameStats().live, before.live);
}

TEST(Scope, CountsWhoeverHoldsIt) {
  FakeClock clock;
  Executor executor(clock);
  Scope outer(executor);
  Scope scope(executor);
  auto hold = std::make_unique<ScopeHold>(scope);
  EXPECT_EQ(scope.live(), 1u);
  bool drained = false;
  outer.Spawn(DrainThenNote(scope, absl::ZeroDuration(), &drained));
  executor.RunReady();
  EXPECT_TRUE(scope.stop().requested());
  EXPECT_FALSE(drained);
  hold.reset();
  EXPECT_EQ(scope.live(), 0u);
  while (outer.live() > 0) executor.RunReady();
  EXPECT_TRUE(drained);
}

TEST(Scope, StopsWithItsParent) {
  FakeClock clock;
  Executor executor(clock);
  StopSource parent;
  Scope scope(executor, parent.token());
  bool stopped = false;
  scope.Spawn(WaitForStop(executor, scope.stop(), &stopped));
  parent.RequestStop();
  executor.RunReady();
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace heddle
