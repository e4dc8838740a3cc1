#include "lib/base/stop.h"

#include <gtest/gtest.h>

namespace heddle {
namespace {

class Counter final : public StopCallback {
 public:
  void OnStop(StopReason reason) noexcept override {
    ++count;
    last = reason;
  }
  int count = 0;
  StopReason last = StopReason::kNone;
};

TEST(StopSource, TellsEachSubscriberOnce) {
  StopSource source;
  Counter a;
  Counter b;
  a.Subscribe(source.token());
  b.Subscribe(source.token());
  source.RequestStop(StopReason::kDeadline);
  source.RequestStop(StopReason::kStopped);
  EXPECT_EQ(a.count, 1);
  EXPECT_EQ(b.count, 1);
  EXPECT_EQ(source.reason(), StopReason::kDeadline);
}

TEST(LinkedStopSource, IsStoppedByItsParent) {
  StopSource parent;
  LinkedStopSource child(parent.token());
  Counter counter;
  counter.Subscribe(child.token());
  parent.RequestStop();
  EXPECT_TRUE(child.requested());
  EXPECT_EQ(counter.last, StopReason::kStopped);
}

TEST(LinkedStopSource, OfAStoppedParentStartsStopped) {
  StopSource parent;
  parent.RequestStop();
  LinkedStopSource child(parent.token());
  EXPECT_TRUE(child.requested());
}

TEST(StopToken, WithoutSourceNeverStops) { EXPECT_FALSE(StopToken().requested()); }

}  // namespace
}  // namespace heddle
