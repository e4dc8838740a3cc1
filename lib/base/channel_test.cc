#include "lib/base/channel.h"

#include <gtest/gtest.h>

#include <vector>

#include "lib/base/scope.h"
#include "lib/base/testing/fake_clock.h"

namespace heddle {
namespace {

Task<void> Produce(Channel<int>& channel, int count) {
  for (int i = 0; i < count; ++i) {
    if (!co_await channel.Send(i, {})) co_return;
  }
  channel.Close();
}

Task<void> Consume(Channel<int>& channel, std::vector<int>* out) {
  while (auto item = co_await channel.Receive({})) out->push_back(*item);
}

TEST(Channel, KeepsOrderAndHoldsTheSenderBack) {
  FakeClock clock;
  Executor executor(clock);
  Scope scope(executor);
  Channel<int> channel(executor, 2);
  std::vector<int> got;
  scope.Spawn(Produce(channel, 10));
  EXPECT_EQ(channel.size(), 2u);
  scope.Spawn(Consume(channel, &got));
  while (scope.live() > 0) executor.RunReady();
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

TEST(Channel, CloseEndsAWaitingSender) {
  FakeClock clock;
  Executor executor(clock);
  Scope scope(executor);
  Channel<int> channel(executor, 1);
  scope.Spawn(Produce(channel, 10));
  channel.Close();
  while (scope.live() > 0) executor.RunReady();
  EXPECT_EQ(channel.size(), 1u);
}

}  // namespace
}  // namespace heddle
