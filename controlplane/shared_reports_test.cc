// Controllers that tell each other what nodes report, on an API server in memory.

#include "controlplane/shared_reports.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;

const std::string kConfigMaps = "/api/v1/namespaces/heddle-system/configmaps";

std::vector<ReportedPod> Pods(std::initializer_list<const char*> uids) {
  std::vector<ReportedPod> pods;
  for (const char* uid : uids) pods.push_back({.uid = uid});
  return pods;
}

struct Controller {
  Controller(io::Loop& loop, kube::FakeApiServer& server, Random& random, const std::string& name)
      : client(loop, server.MakeConnector(), kube::BearerToken({}), {.authority = "10.0.0.1:443"}),
        shared({.loop = loop,
                .client = client,
                .random = random,
                .reports = reports,
                .name_space = "heddle-system",
                .instance = name,
                .registry = registry,
                .heard = [] {},
                .changed = [] {},
                .forgotten = [this] { ++forgotten; },
                .known = [this] { ++known; }}),
        scope(loop) {
    scope.Spawn(shared.Run(scope.stop()));
  }
  Task<void> End() {
    co_await scope.Drain();
    co_await client.Shutdown();
  }
  std::set<std::string> Captured(const std::string& node) {
    return reports.SummaryOf(node).captured;
  }

  int known = 0;
  int forgotten = 0;
  CaptureReports reports;
  metrics::Registry registry;
  kube::ApiClient client;
  SharedReports shared;
  Scope scope;
};

class World {
 public:
  World() : loop(simulation.AddLoop()), server(loop) { server.AddCollection(kConfigMaps); }

  Task<bool> Until(absl::FunctionRef<bool()> so, absl::Duration patience = absl::Seconds(2)) {
    const MonotonicTime end = loop.Now() + patience;
    while (!so() && loop.Now() < end) (void)co_await loop.Sleep(absl::Milliseconds(10), {});
    co_return so();
  }
  Task<void> Pass(absl::Duration time) {
    co_await Until([] { return false; }, time);
  }
  size_t Writes() const {
    return std::ranges::count_if(server.requests,
                                 [](const std::string& line) { return line.starts_with("PATCH"); });
  }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  io::Simulation simulation{1};
  io::Loop& loop;
  kube::FakeApiServer server;

 private:
  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await server.End();
  }
};

TEST(SharedReports, AllControllersKnowWhatANodeReportsToOne) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    Controller b(world.loop, world.server, world.simulation.random(), "b");
    EXPECT_TRUE(co_await world.Until([&] { return a.known == 1 && b.known == 1; }));
    const auto stream = a.reports.Open("n1.example");
    a.reports.Report("n1.example", stream, Pods({"u1", "u2"}), {{"u2", "a link is missing"}});
    EXPECT_TRUE(co_await world.Until([&] { return b.Captured("n1.example").size() == 2; }));
    CO_ASSERT_TRUE(b.reports.ProblemOf("n1.example", "u2") != nullptr);
    EXPECT_EQ(*b.reports.ProblemOf("n1.example", "u2"), "a link is missing");
    // The node goes to the other controller, which hears something else.
    a.reports.Close("n1.example", stream);
    const auto next = b.reports.Open("n1.example");
    b.reports.Report("n1.example", next, Pods({"u1"}));
    EXPECT_TRUE(co_await world.Until([&] { return a.Captured("n1.example").size() == 1; }));
    EXPECT_EQ(a.reports.ProblemOf("n1.example", "u2"), nullptr);
    // A third one, that comes later.
    Controller c(world.loop, world.server, world.simulation.random(), "c");
    EXPECT_TRUE(co_await world.Until([&] { return c.known == 1; }));
    EXPECT_THAT(c.reports.captured(), ElementsAre(Pair("n1.example", ElementsAre("u1"))));
    co_await a.End();
    co_await b.End();
    co_await c.End();
  });
}

TEST(SharedReports, WritesWhatIsNewestAndNothingTwice) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    const auto stream = a.reports.Open("n1");
    for (int i = 0; i < 1000; ++i) a.reports.Report("n1", stream, Pods({i % 2 == 0 ? "u1" : "u2"}));
    co_await world.Pass(absl::Seconds(1));
    a.reports.Report("n1", stream, Pods({"u2"}));
    co_await world.Pass(absl::Minutes(1));
    EXPECT_EQ(world.Writes(), 1U);
    EXPECT_THAT(
        world.server.Get(kConfigMaps, "heddle-system", "heddle-captured-n1")["data"]["report"],
        HasSubstr(R"(["u2"])"));
    co_await a.End();
  });
}

TEST(SharedReports, ANodeThatAlwaysHasNewsIsNoLoadOnTheServer) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    const auto stream = a.reports.Open("n1");
    for (int i = 0; i < 6000; ++i) {
      a.reports.Report("n1", stream, Pods({i % 2 == 0 ? "u1" : "u2"}));
      co_await world.Pass(absl::Milliseconds(10));
    }
    EXPECT_GE(world.Writes(), 30U);
    EXPECT_LE(world.Writes(), 75U) << "in a minute";
    // After a quiet time the first word is told at once.
    co_await world.Pass(absl::Minutes(1));
    const size_t before = world.Writes();
    a.reports.Report("n1", stream, Pods({"u3"}));
    co_await world.Pass(absl::Milliseconds(50));
    EXPECT_EQ(world.Writes(), before + 1);
    co_await a.End();
  });
}

TEST(SharedReports, WhatTheServerRefusesOfOneNodeKeepsNoOtherFromBackingOff) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    EXPECT_TRUE(co_await world.Until([&] { return a.known == 1; }));
    const auto good = a.reports.Open("good");
    const auto bad = a.reports.Open("bad");
    world.server.forbidden.insert(absl::StrCat(kConfigMaps, "/heddle-captured-bad"));
    for (int i = 0; i < 600; ++i) {
      a.reports.Report("good", good, Pods({i % 2 == 0 ? "u1" : "u2"}));
      if (i == 0) a.reports.Report("bad", bad, Pods({"u"}));
      co_await world.Pass(absl::Milliseconds(100));
    }
    const auto tries = std::ranges::count_if(world.server.requests, [](const std::string& line) {
      return line.starts_with("PATCH") && line.find("heddle-captured-bad") != std::string::npos;
    });
    EXPECT_LE(tries, 15) << "in a minute";
    EXPECT_GE(tries, 5);
    co_await a.End();
  });
}

// As by a controller whose stream of that node hangs, and ends only later.
TEST(SharedReports, WhatAnotherWroteOverItIsWrittenAgainAfterAWhile) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    Controller b(world.loop, world.server, world.simulation.random(), "b");
    const auto hanging = a.reports.Open("n1");
    a.reports.Report("n1", hanging, Pods({"old"}));
    co_await world.Pass(absl::Seconds(1));
    const auto stream = b.reports.Open("n1");
    b.reports.Report("n1", stream, Pods({"new"}));
    co_await world.Pass(absl::Minutes(1));
    const size_t writes = world.Writes();
    EXPECT_LE(writes, 30U) << "both believe to be right: they do not race";
    EXPECT_GE(writes, 4U);
    a.reports.Close("n1", hanging);
    EXPECT_TRUE(
        co_await world.Until([&] { return a.Captured("n1").contains("new"); }, absl::Seconds(12)));
    co_await world.Pass(absl::Seconds(10));
    const size_t settled = world.Writes();
    co_await world.Pass(absl::Minutes(5));
    EXPECT_EQ(world.Writes(), settled);
    EXPECT_THAT(a.Captured("n1"), ElementsAre("new"));
    // What was written over it is not taken for news when this stream ends as well.
    b.reports.Close("n1", stream);
    co_await world.Pass(absl::Seconds(10));
    EXPECT_THAT(b.Captured("n1"), ElementsAre("new"));
    co_await a.End();
    co_await b.End();
  });
}

TEST(SharedReports, WithoutAServerLocalReportsCountAndAreWrittenLater) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    EXPECT_TRUE(co_await world.Until([&] { return a.known == 1; }));
    world.server.down = true;
    world.server.Disconnect();
    const auto stream = a.reports.Open("n1");
    a.reports.Report("n1", stream, Pods({"u1"}));
    a.reports.Close("n1", stream);
    co_await world.Pass(absl::Minutes(2));
    EXPECT_THAT(a.Captured("n1"), ElementsAre("u1"));
    EXPECT_THAT(a.shared.trouble(), HasSubstr("refused"));
    world.server.down = false;
    EXPECT_TRUE(co_await world.Until([&] { return world.Writes() == 1; }, absl::Seconds(20)));
    co_await world.Pass(absl::Seconds(30));
    EXPECT_EQ(a.shared.trouble(), "");
    co_await a.End();
  });
}

TEST(SharedReports, IsNotKnownBeforeItCouldBeRead) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.forbidden.insert(kConfigMaps);
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    co_await world.Pass(absl::Seconds(30));
    EXPECT_EQ(a.known, 0);
    EXPECT_THAT(a.shared.trouble(), HasSubstr("403"));
    world.server.forbidden.clear();
    EXPECT_TRUE(co_await world.Until([&] { return a.known == 1; }, absl::Minutes(2)));
    co_await a.End();
  });
}

TEST(SharedReports, TakesAwayWhatIsToldOfNodesThatAreGone) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Controller a(world.loop, world.server, world.simulation.random(), "a");
    for (const char* node : {"n1", "n2"}) {
      const auto stream = a.reports.Open(node);
      a.reports.Report(node, stream, Pods({node}));
      a.reports.Close(node, stream);
    }
    co_await world.Pass(absl::Seconds(1));
    const std::set<std::string> nodes = {"n2"};
    co_await a.shared.RemoveOthers(nodes, {});
    co_await world.Pass(absl::Seconds(1));
    EXPECT_EQ(a.forgotten, 1);
    a.reports.Retain({"n2"});
    EXPECT_THAT(a.reports.captured(), ElementsAre(Pair("n2", ElementsAre("n2"))));
    EXPECT_TRUE(world.server.Get(kConfigMaps, "heddle-system", "heddle-captured-n1").is_null());
    co_await a.End();
  });
}

// ---- The object ----

kube::RawObject Raw(const std::string& name, const std::string& json) {
  return {.name = {"heddle-system", name}, .resource_version = "1", .json = json};
}

TEST(ReportObject, IsReadAsItWasWritten) {
  const ReportObject report{
      .node = "ip-10-0-0-1.ec2.internal",
      .heard_by = "heddle-controller-0",
      .summary = {.captured = {"a", "b"}, .problems = {{"c", "said \"no\""}}}};
  const std::string json = ToJson(report, "heddle-system");
  const auto read = ParseReportObject(Raw("heddle-captured-ip-10-0-0-1.ec2.internal", json));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->node, report.node);
  EXPECT_EQ(read->heard_by, report.heard_by);
  EXPECT_EQ(read->summary, report.summary);
}

TEST(ReportObject, HasALegalNameForEveryNode) {
  const std::string longest(253, 'n');
  const std::string other = longest.substr(0, 252) + "m";
  EXPECT_EQ(ReportObjectName(longest).size(), 253U);
  EXPECT_NE(ReportObjectName(longest), ReportObjectName(other));
  EXPECT_EQ(ReportObjectName(std::string(237, 'n')), "heddle-captured-" + std::string(237, 'n'));
  const std::string dotted = std::string(219, 'n') + "." + std::string(33, 'n');
  EXPECT_EQ(ReportObjectName(dotted).find(".-"), std::string::npos) << ReportObjectName(dotted);
}

TEST(ReportObject, WhatIsMalformedIsRefusedWithASentence) {
  const std::string good = R"("node":"n1","heardBy":"x")";
  for (const auto& [json, reason] : std::vector<std::pair<std::string, std::string>>{
           {"", "has no data"},
           {"{}", "has no data"},
           {R"({"data":{"heardBy":"x"}})", "has no node"},
           {R"({"data":{"node":"n2","heardBy":"x","report":"{}"}})",
            "is not the one that its name says"},
           {absl::StrCat("{\"data\":{", good, "}}"), "has no report"},
           {absl::StrCat("{\"data\":{", good, R"(,"report":"["}})"), "a list 'captured'"},
           {absl::StrCat("{\"data\":{", good, R"(,"report":"{\"captured\":[1]}"}})"), "no uid"},
           {absl::StrCat("{\"data\":{", good, R"(,"report":"{\"captured\":[],\"problems\":3}"}})"),
            "report.problems"}}) {
    const auto read = ParseReportObject(Raw("heddle-captured-n1", json));
    ASSERT_FALSE(read.ok()) << json;
    EXPECT_THAT(std::string(read.status().message()), HasSubstr(reason));
  }
}

}  // namespace
}  // namespace heddle::controlplane
