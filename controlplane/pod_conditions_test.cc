#include "controlplane/pod_conditions.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane {
namespace {

MonotonicTime At(double seconds) { return MonotonicTime() + absl::Seconds(100 + seconds); }

status::PodVerdict Pod(bool captured) {
  return {.name = {"shop", "web"}, .uid = "u", .node = "n1", .captured = captured};
}

TEST(PodConditions, SayWhatTheNodeReports) {
  const std::string problem = "a link is missing";
  struct Case {
    bool captured;
    const std::string* problem;
    bool holds;
    const char* reason;
    const char* message;
  };
  for (const Case& each :
       std::vector<Case>{{true, nullptr, true, "Captured", ""},
                         {true, &problem, false, "Incomplete", "a link is missing"},
                         {false, &problem, false, "NotCaptured", "a link is missing"}}) {
    PodConditions conditions;
    const auto condition = conditions.Of(Pod(each.captured), each.problem, At(0));
    ASSERT_TRUE(condition.has_value());
    EXPECT_EQ(condition->holds, each.holds);
    EXPECT_EQ(condition->reason, each.reason);
    EXPECT_EQ(condition->message, each.message);
    EXPECT_EQ(condition->type, "heddle.io/captured");
  }
}

TEST(PodConditions, WaitForAReportBeforeTheySayThatThereIsNone) {
  PodConditions conditions;
  const auto look = [&conditions](double now, bool captured) {
    conditions.Begin();
    auto condition = conditions.Of(Pod(captured), nullptr, At(now));
    conditions.End();
    return condition;
  };
  EXPECT_FALSE(look(0, false).has_value());
  EXPECT_TRUE(conditions.waiting());
  EXPECT_FALSE(look(14, false).has_value());
  const auto condition = look(15, false);
  ASSERT_TRUE(condition.has_value());
  EXPECT_EQ(condition->reason, "NotReported");
  EXPECT_THAT(condition->message, testing::HasSubstr("node n1"));
  EXPECT_FALSE(conditions.waiting());
  EXPECT_EQ(look(16, true)->reason, "Captured");
  EXPECT_FALSE(look(17, false).has_value()) << "its patience begins anew";
}

}  // namespace
}  // namespace heddle::controlplane
