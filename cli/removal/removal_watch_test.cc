#include "cli/removal/removal_watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

TEST(RemovalWatch, SaysWhatHasChangedOnce) {
  const RemovalData before = {{"phase", "relax"}, {"node.a", "waiting"}, {"node.b", "relaxed"}};
  RemovalData now = before;
  now["node.a"] = "relaxed";
  now["phase"] = "plain";
  EXPECT_THAT(Progress(before, now),
              ElementsAre("  node a: relaxed", "2/3 plain: pods are announced as plain"));
  EXPECT_THAT(Progress(now, now), IsEmpty());
  EXPECT_THAT(Progress({}, {{"drainSeconds", "60"}}), IsEmpty());
}

TEST(RemovalWatch, PrintsWhatNodesSayAsOneLineThatFits) {
  const std::string note = "waiting: \x1b[2J\n  node b: gone" + std::string(10'000, 'x');
  const std::string line = Progress({}, {{"node.a", note}}).at(0);
  EXPECT_THAT(line, testing::StartsWith("  node a: waiting: ?[2J?  node b: gonex"));
  EXPECT_LT(line.size(), 600u);
  const std::string missing = WhatIsMissing({{"phase", "plain"}, {"node.a", note}});
  EXPECT_THAT(missing, HasSubstr("a (waiting: ?[2J?  node b"));
  EXPECT_LT(missing.size(), 700u);
}

TEST(RemovalWatch, NamesTheNodesThatAreWaitedForAndWhatTheySay) {
  EXPECT_EQ(WhatIsMissing({{"phase", "gone"}, {"node.a", "gone"}}), "");
  EXPECT_EQ(
      WhatIsMissing({{"phase", "release"},
                     {"node.a", "gone"},
                     {"node.b", "plain: 2 pods leave"},
                     {"node.c", "waiting: its agent is not connected"}}),
      "in the phase release these nodes have not let go: b (plain: 2 pods leave), c (waiting: "
      "its agent is not connected)");
  EXPECT_THAT(WhatIsMissing({{"drainSeconds", "60"}}), HasSubstr("no controller has taken it up"));
}

}  // namespace
}  // namespace heddle::cli
