#include "lib/base/scope.h"

#include <gtest/gtest.h>

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
