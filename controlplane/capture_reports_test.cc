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

TEST(CaptureReports, BelievesWhatAnotherControllerHeardOnlyWhileItHearsNothing) {
  CaptureReports reports;
  reports.Share("n1", {.captured = {"a"}, .problems = {{"b", "no process of it was found"}}});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a"))));
  EXPECT_EQ(*reports.ProblemOf("n1", "b"), "no process of it was found");
  const auto stream = reports.Open("n1");
  EXPECT_FALSE(reports.Hears("n1"));
  reports.Share("n1", {.captured = {"a", "b"}});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a", "b"))));
  reports.Report("n1", stream, Pods({"c"}), {{"c", "a link is missing"}});
  EXPECT_TRUE(reports.Hears("n1"));
  reports.Share("n1", {.captured = {"a"}});
  EXPECT_EQ(reports.SummaryOf("n1"),
            (CaptureSummary{.captured = {"c"}, .problems = {{"c", "a link is missing"}}}));
}

// The node went to another controller, and this one's stream hung for a while.
TEST(CaptureReports, BelievesTheOtherControllerWhenItsOwnStreamEndsWithoutAnotherReport) {
  CaptureReports reports;
  const auto stream = reports.Open("n1");
  reports.Report("n1", stream, Pods({"a"}));
  reports.Share("n1", {.captured = {"b"}});
  reports.Close("n1", stream);
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("b"))));
  EXPECT_THAT(reports.PodsOf("n1"), IsEmpty());

  const auto next = reports.Open("n1");
  reports.Report("n1", next, Pods({"a"}));
  reports.Share("n1", {.captured = {"b"}});
  reports.Report("n1", next, Pods({"c"}));
  reports.Close("n1", next);
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("c"))));
}

// The node's object may come later than what was told of it.
TEST(CaptureReports, ForgetsANodeThatIsToldOfWhenThatEnds) {
  CaptureReports reports;
  reports.Share("n1", {.captured = {"a"}});
  reports.Retain({});
  EXPECT_THAT(reports.captured(), ElementsAre(Pair("n1", ElementsAre("a"))));
  reports.Unshare("n1");
  reports.Retain({});
  EXPECT_THAT(reports.captured(), IsEmpty());
}

TEST(CaptureReports, TellsOfReportsToThisController) {
  CaptureReports reports;
  std::vector<std::string> told;
  reports.OnReport([&](const std::string& node) { told.push_back(node); });
  reports.Share("n1", {.captured = {"a"}});
  const auto stream = reports.Open("n2");
  reports.Report("n2", stream, {});
  EXPECT_THAT(told, ElementsAre("n2"));
}

}  // namespace
}  // namespace heddle::controlplane
