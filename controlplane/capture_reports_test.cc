#include "controlplane/capture_reports.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

std::vector<ReportedPod> Pods(std::initializer_list<const char*> uids) {
  std::vector<ReportedPod> pods;
  for (const char* uid : uids) pods.push_back({.uid = uid});
  return pods;
}

TEST(CaptureReports, KeepsTheLastListOfEachNode) {
  CaptureReports reports;
  const auto first = reports.Open("n1");
  const auto second = reports.Open("n2");
  EXPECT_TRUE(reports.Report("n1", first, Pods({"a", "b"})));
  EXPECT_TRUE(reports.Report("n2", second, Pods({"c"})));
  EXPECT_TRUE(reports.Report("n1", first, Pods({"b"})));
  EXPECT_THAT(reports.captured(),
              ElementsAre(Pair("n1", ElementsAre("b")), Pair("n2", ElementsAre("c"))));
  EXPECT_EQ(reports.PodsOf("n1").size(), 1u);
}

TEST(CaptureReports, SaysWhenSomethingChanged) {
  CaptureReports reports;
  const auto stream = reports.Open("n1");
  reports.Report("n1", stream, {});
  EXPECT_EQ(reports.generation(), 0u) << "nothing captured is what we knew";
  reports.Report("n1", stream, Pods({"a"}));
  reports.Report("n1", stream, Pods({"a"}));
  EXPECT_EQ(reports.generation(), 1u);
}

TEST(CaptureReports, KeepWhatIsCapturedWhileTheAgentIsAway) {
  CaptureReports reports;
  const auto stream = reports.Open("n1");
  reports.Report("n1", stream, Pods({"a"}));
  reports.Close("n1", stream);
  reports.Retain({"n1"});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a"))));
}

TEST(CaptureReports, ForgetANodeThatHasLeftTheCluster) {
  CaptureReports reports;
  const auto stream = reports.Open("n1");
  reports.Report("n1", stream, Pods({"a"}));
  reports.Retain({});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a")))) << "still connected";
  reports.Close("n1", stream);
  reports.Retain({});
  EXPECT_THAT(reports.captured(), IsEmpty());
  EXPECT_THAT(reports.PodsOf("n1"), IsEmpty());
}

TEST(CaptureReports, ANewStreamKeepsTheListUntilItReports) {
  CaptureReports reports;
  const auto before = reports.Open("n1");
  reports.Report("n1", before, Pods({"a"}));
  reports.Close("n1", before);
  const auto after = reports.Open("n1");
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a"))));
  reports.Report("n1", after, {});
  EXPECT_THAT(reports.captured(), IsEmpty());
}

TEST(CaptureReports, OutliveTheControllersProcess) {
  CaptureReports reports;
  reports.Restore({{"n1", {"a"}}, {"n2", {"b"}}});
  reports.Retain({"n1"});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a"))));
}

TEST(CaptureReports, DoesNotHearANodesOlderStreams) {
  CaptureReports reports;
  const auto before = reports.Open("n1");
  const auto after = reports.Open("n1");
  EXPECT_FALSE(reports.Report("n1", before, Pods({"old"})));
  EXPECT_TRUE(reports.Report("n1", after, Pods({"new"})));
  reports.Close("n1", before);
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("new"))));
}

}  // namespace
}  // namespace heddle::controlplane
