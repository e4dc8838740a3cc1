#include "lib/io/testing/simulation.h"

#include <gtest/gtest.h>

#include "lib/io/loop_pool.h"
#include "lib/io/socket.h"
#include "lib/io/testing/fake_network.h"

namespace heddle::io {
namespace {

Task<void> WaitFor(Event& event, StopToken stop, bool& woken) { woken = co_await event.Wait(stop); }

TEST(Simulation, SeesADeadlock) {
  Simulation simulation(1);
  Loop& loop = simulation.AddLoop();
  Event never(loop);
  StopSource stop;
  bool woken = true;
  Scope scope(loop);
  scope.Spawn(WaitFor(never, stop.token(), woken));
  const auto ended = [&] { return scope.live() == 0; };
  EXPECT_EQ(simulation.RunUntil(ended), Simulation::Outcome::kDeadlock);
  stop.RequestStop();
  EXPECT_EQ(simulation.RunUntil(ended), Simulation::Outcome::kDone);
  EXPECT_FALSE(woken);
}

Task<void> Spin(Loop& loop, StopToken stop) {
  while (!stop.requested()) co_await loop.Yield();
}

TEST(Simulation, SeesABusyLoop) {
  Simulation simulation(1);
  Loop& loop = simulation.AddLoop();
  StopSource stop;
  Scope scope(loop);
  scope.Spawn(Spin(loop, stop.token()));
  const auto ended = [&] { return scope.live() == 0; };
  EXPECT_EQ(simulation.RunUntil(ended, 1000), Simulation::Outcome::kTooManySteps);
  stop.RequestStop();
  EXPECT_EQ(simulation.RunUntil(ended), Simulation::Outcome::kDone);
}

Task<void> SleepLong(Loop& loop) {
  const bool slept = co_await loop.Sleep(absl::Hours(24 * 365), {});
  EXPECT_TRUE(slept);
}

TEST(Simulation, MovesTimeOnlyWhenNothingElseCanRun) {
  Simulation simulation(1);
  Loop& loop = simulation.AddLoop();
  const MonotonicTime begin = simulation.clock().Monotonic();
  simulation.Run(loop, SleepLong(loop));
  EXPECT_EQ(simulation.clock().Monotonic() - begin, absl::Hours(24 * 365));
}

Task<void> CountUp(Loop& loop, int& count) {
  co_await loop.Yield();
  ++count;
}

Task<void> RunThere(Loop& home, Loop& target, int& count) {
  auto factory = [&target, &count] { return CountUp(target, count); };
  co_await RunOn(home, target, factory);
  EXPECT_EQ(count, 1);
}

TEST(Simulation, RunsErrandsAcrossItsLoops) {
  Simulation simulation(7);
  Loop& home = simulation.AddLoop();
  Loop& target = simulation.AddLoop();
  int count = 0;
  simulation.Run(home, RunThere(home, target, count));
}

Task<void> PollDescriptor(Loop& loop) {
  const auto ready = co_await WaitReady(loop, 0, 1, {});
  EXPECT_TRUE(!ready && ready.error().is_errno(EOPNOTSUPP));
}

TEST(Simulation, HasNoDescriptors) {
  Simulation simulation(1);
  Loop& loop = simulation.AddLoop();
  simulation.Run(loop, PollDescriptor(loop));
}

}  // namespace
}  // namespace heddle::io
