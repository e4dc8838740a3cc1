#include "lib/base/executor.h"

#include <gtest/gtest.h>

#include <vector>

#include "lib/base/scope.h"
#include "lib/base/testing/fake_clock.h"

namespace heddle {
namespace {

Task<void> SleepThenNote(Executor& executor, absl::Duration duration, StopToken stop, int id,
                         std::vector<int>* order) {
  const bool elapsed = co_await executor.Sleep(duration, stop);
  order->push_back(elapsed ? id : -id);
}

TEST(Executor, FiresTimersInOrderOfTime) {
  FakeClock clock;
  Executor executor(clock);
  Scope scope(executor);
  std::vector<int> order;
  for (int id : {5, 1, 4, 2, 3})
    scope.Spawn(SleepThenNote(executor, absl::Seconds(id), {}, id, &order));
  while (scope.live() > 0) {
    clock.Advance(absl::Seconds(1));
    executor.RunReady();
  }
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3, 4, 5}));
}

TEST(Executor, SleepEndsEarlyWhenStopped) {
  FakeClock clock;
  Executor executor(clock);
  StopSource stop;
  Scope scope(executor);
  std::vector<int> order;
  scope.Spawn(SleepThenNote(executor, absl::Hours(1), stop.token(), 1, &order));
  stop.RequestStop();
  EXPECT_TRUE(order.empty()) << "a stop request must not resume a waiter inline";
  executor.RunReady();
  EXPECT_EQ(order, (std::vector<int>{-1}));
  EXPECT_EQ(executor.NextTimer(), MonotonicTime::Infinite());
}

TEST(Executor, DeadlineStopsWithItsOwnReason) {
  FakeClock clock;
  Executor executor(clock);
  Deadline soon(executor, {}, absl::Seconds(2));
  clock.Advance(absl::Seconds(1));
  executor.RunReady();
  EXPECT_FALSE(soon.expired());
  clock.Advance(absl::Seconds(1));
  executor.RunReady();
  EXPECT_TRUE(soon.expired());
}

TEST(Executor, SurvivesManyTimersDisarmedInAnyOrder) {
  FakeClock clock;
  Executor executor(clock);
  class Plain final : public Timer {
   public:
    void OnTimer() override { ++fired; }
    int fired = 0;
  };
  std::vector<std::unique_ptr<Plain>> timers;
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<Plain>());
    executor.Arm(*timers.back(), absl::Milliseconds((i * 7919) % 500));
  }
  for (int i = 0; i < 500; i += 3) timers[i]->Disarm();
  clock.Advance(absl::Seconds(1));
  executor.RunReady();
  for (int i = 0; i < 500; ++i) EXPECT_EQ(timers[i]->fired, i % 3 == 0 ? 0 : 1);
}

}  // namespace
}  // namespace heddle
