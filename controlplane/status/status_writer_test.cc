// The writer against an API server in memory, in simulated time. Its server-side apply is a merge: who
// owns what is tested on a real one (tests/kube/test_status.py).

#include "controlplane/status/status_writer.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/reflector.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane::status {
namespace {

using Json = nlohmann::json;

const std::string kPolicies = "/apis/security.istio.io/v1/authorizationpolicies";
const std::string kInShop = "/apis/security.istio.io/v1/namespaces/shop/authorizationpolicies";
const std::string kEvents = "/apis/events.k8s.io/v1/namespaces/shop/events";

api::ObjectKey Key(const std::string& name) {
  return {api::Kind::kAuthorizationPolicy, {"shop", name}};
}
std::vector<Condition> Says(bool accepted, std::string message, std::string count = "") {
  std::vector<Condition> conditions = {{.type = kAccepted,
                                        .holds = accepted,
                                        .reason = accepted ? "Accepted" : "Invalid",
                                        .message = std::move(message)}};
  if (!count.empty())
    conditions.push_back({.type = kBound, .holds = true, .reason = "Bound", .message = count});
  return conditions;
}

class World final : private kube::ObjectSink {
 public:
  World()
      : loop(simulation.AddLoop()),
        server(loop),
        client(loop, server.MakeConnector(), kube::BearerToken({}), {.authority = "10.0.0.1:443"}),
        events({.loop = loop,
                .client = client,
                .instance = "a",
                .registry = registry,
                .may_write = [this] { return leads; }}),
        writer({.loop = loop,
                .client = client,
                .random = simulation.random(),
                .events = events,
                .registry = registry,
                .may_write = [this] { return leads; }}),
        reflector(loop, client, {.paths = {kInShop}}, *this, simulation.random()),
        scope(loop) {
    server.AddCollection(kInShop);
    server.AddCollection(kEvents);
  }

  void Put(const std::string& name, int generation = 1) {
    server.Put(kInShop, Json{{"metadata",
                              {{"name", name},
                               {"namespace", "shop"},
                               {"uid", "uid-" + name},
                               {"generation", generation}}}});
  }
  void Start() {
    scope.Spawn(reflector.Run(scope.stop()));
    scope.Spawn(writer.Run(scope.stop()));
    scope.Spawn(events.Run(scope.stop()));
  }
  Task<void> Pass(absl::Duration time) { (void)co_await loop.Sleep(time, {}); }
  size_t Count(std::string_view what) const {
    return std::ranges::count_if(server.requests, [what](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  }
  Json Conditions(const std::string& name) const {
    return server.Get(kInShop, "shop", name)
        .value(Json::json_pointer("/status/conditions"), Json());
  }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  io::Simulation simulation{1};
  io::Loop& loop;
  bool leads = true;
  metrics::Registry registry;
  kube::FakeApiServer server;
  kube::ApiClient client;
  EventRecorder events;
  StatusWriter writer;
  kube::Reflector reflector;
  Scope scope;

 private:
  void OnObject(const kube::RawObject& object) override {
    auto present = ReadPresentStatus(object, kPolicies);
    CHECK(present.has_value());
    writer.SetPresent(Key(object.name.name), *std::move(present));
  }
  void OnGone(const kube::ObjectName& name) override { writer.Forget(Key(name.name)); }

  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await scope.Drain();
    co_await client.Shutdown();
    co_await server.End();
  }
};

TEST(StatusWriter, WritesWhatDiffersAndTellsOfWhatIsRefused) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Put("p", 3);
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    world.writer.SetWanted(Key("p"), Says(false, "bad port"));
    co_await world.Pass(absl::Seconds(1));
    const Json refused = world.Conditions("p");
    CO_ASSERT_TRUE(refused.size() == 1);
    EXPECT_EQ(refused[0]["status"], "False");
    EXPECT_EQ(refused[0]["reason"], "Invalid");
    EXPECT_EQ(refused[0]["message"], "bad port");
    EXPECT_EQ(refused[0]["observedGeneration"], 3);
    EXPECT_EQ(world.Count("POST " + kEvents), 1U);
    // Another sentence is no transition.
    co_await world.Pass(absl::Seconds(30));
    world.writer.SetWanted(Key("p"), Says(false, "bad address"));
    co_await world.Pass(absl::Seconds(1));
    EXPECT_EQ(world.Conditions("p")[0]["lastTransitionTime"], refused[0]["lastTransitionTime"]);
    world.writer.SetWanted(Key("p"), Says(true, "in effect"));
    co_await world.Pass(absl::Seconds(1));
    EXPECT_NE(world.Conditions("p")[0]["lastTransitionTime"], refused[0]["lastTransitionTime"]);
    EXPECT_EQ(world.Count("POST " + kEvents), 3U) << "good again";
    const size_t writes = world.Count("PATCH");
    co_await world.Pass(absl::Minutes(10));
    EXPECT_EQ(world.Count("PATCH"), writes);
  });
}

TEST(StatusWriter, WritesNothingThatIsThereAlready) {
  World world;
  world.Run([](World& world) -> Task<void> {
    for (int i = 0; i < 200; ++i) world.Put(absl::StrCat("p", i));
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    for (int i = 0; i < 200; ++i)
      world.writer.SetWanted(Key(absl::StrCat("p", i)), Says(true, "in effect"));
    co_await world.Pass(absl::Seconds(1));
    EXPECT_LE(world.Count("PATCH"), 61U) << "50 at once, then 10 a second";
    co_await world.Pass(absl::Seconds(20));
    EXPECT_EQ(world.Count("PATCH"), 200U);
    EXPECT_EQ(world.Count("POST"), 0U) << "nobody needs to hear that all is well";
    // Another controller, which finds what the first one wrote.
    StatusWriter second({.loop = world.loop,
                         .client = world.client,
                         .random = world.simulation.random(),
                         .events = world.events,
                         .registry = world.registry,
                         .may_write = [] { return true; }});
    for (int i = 0; i < 200; ++i) {
      const std::string name = absl::StrCat("p", i);
      const std::string json = world.server.Get(kInShop, "shop", name).dump();
      second.SetPresent(Key(name), *ReadPresentStatus({.json = json}, kPolicies));
      second.SetWanted(Key(name), Says(true, "in effect"));
    }
    EXPECT_EQ(second.waiting(), 0U);
  });
}

TEST(StatusWriter, WritesTheNewestAndNotEachNumber) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Put("p");
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    for (int i = 0; i < 600; ++i) {
      world.writer.SetWanted(Key("p"), Says(true, "in effect", absl::StrCat("bound to ", i)));
      co_await world.Pass(absl::Milliseconds(100));
    }
    EXPECT_LE(world.Count("PATCH"), 8U);
    co_await world.Pass(absl::Seconds(15));
    EXPECT_EQ(world.Conditions("p")[1]["message"], "bound to 599");
    world.writer.SetWanted(Key("p"), Says(false, "bad port", "bound to 1"));
    co_await world.Pass(absl::Seconds(1));
    EXPECT_EQ(world.Conditions("p")[0]["message"], "bad port") << "that does not wait";
  });
}

// Of many objects that all differ at once, as after an upgrade: a burst, and then so many a second.
TEST(StatusWriter, WritesAndEventsAreBoundedASecond) {
  World world;
  world.Run([](World& world) -> Task<void> {
    constexpr int kObjects = 400;
    for (int i = 0; i < kObjects; ++i) world.Put(absl::StrCat("p", i));
    world.Start();
    co_await world.Pass(absl::Seconds(5));
    for (int i = 0; i < kObjects; ++i)
      world.writer.SetWanted(Key(absl::StrCat("p", i)), Says(false, "bad port"));
    int passed = 0;
    for (const int seconds : {1, 10, 20, 30}) {
      co_await world.Pass(absl::Seconds(seconds - std::exchange(passed, seconds)));
      EXPECT_LE(world.Count("PATCH " + kInShop), 50U + 10 * seconds + 1) << seconds;
      EXPECT_GE(world.Count("PATCH " + kInShop), 50U + 10 * seconds - 5) << seconds;
      EXPECT_LE(world.Count("POST " + kEvents), 25U + 5 * seconds + 1) << seconds;
      EXPECT_GE(world.Count("POST " + kEvents), 25U + 5 * seconds - 10) << seconds;
    }
    co_await world.Pass(absl::Minutes(2));
    EXPECT_EQ(world.Count("PATCH " + kInShop), kObjects);
    EXPECT_EQ(world.Count("POST " + kEvents), kObjects);
  });
}

TEST(StatusWriter, WhoDoesNotLeadWritesNothingAndCatchesUpWhenItDoes) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.leads = false;
    world.Put("p");
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    world.writer.SetWanted(Key("p"), Says(false, "bad port"));
    co_await world.Pass(absl::Minutes(1));
    EXPECT_EQ(world.Count("PATCH") + world.Count("POST"), 0U);
    world.leads = true;
    world.writer.Recheck();
    co_await world.Pass(absl::Seconds(1));
    EXPECT_EQ(world.Conditions("p")[0]["message"], "bad port");
    EXPECT_EQ(world.Count("POST"), 1U);
  });
}

// A renewal of the Lease that comes late, and then does: nobody says that it leads again.
TEST(StatusWriter, WhatCouldNotBeWrittenForAMomentIsWrittenAfterIt) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Put("p");
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    world.leads = false;
    world.writer.SetWanted(Key("p"), Says(false, "bad port"));
    co_await world.Pass(absl::Seconds(3));
    EXPECT_EQ(world.Count("PATCH"), 0U);
    world.leads = true;
    co_await world.Pass(absl::Seconds(3));
    EXPECT_EQ(world.Conditions("p")[0]["message"], "bad port");
  });
}

TEST(StatusWriter, TriesAgainWithPausesWhenTheServerIsAway) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Put("p");
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    world.server.fail_next = 5;
    const size_t before = world.server.requests.size();
    world.writer.SetWanted(Key("p"), Says(true, "in effect"));
    co_await world.Pass(absl::Minutes(3));
    EXPECT_LE(world.server.requests.size() - before, 12U);
    EXPECT_EQ(world.Conditions("p")[0]["message"], "in effect");
    EXPECT_EQ(world.writer.trouble(), "");
  });
}

TEST(StatusWriter, APolicyThatIsGoneBeforeTheWatchTellsIsNoFailure) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Put("other");
    world.Start();
    co_await world.Pass(absl::Seconds(1));
    world.writer.SetPresent(Key("gone"), {.uid = "u", .generation = 1, .collection = kPolicies});
    world.writer.SetWanted(Key("gone"), Says(true, "in effect"));
    co_await world.Pass(absl::Seconds(10));
    EXPECT_GE(world.Count("PATCH " + kInShop + "/gone/status"), 1U);
    EXPECT_EQ(world.writer.trouble(), "");
    EXPECT_NE(world.registry.Expose().find("status_writes_total{result=\"failed\"} 0"),
              std::string::npos);
  });
}

TEST(StatusRequest, SaysWhatItIsAboutAndForcesNothing) {
  const PresentStatus present{.uid = "u", .generation = 2, .collection = kPolicies};
  const kube::ApiRequest request = StatusRequest(Key("p"), present, Says(true, "in effect"));
  EXPECT_EQ(request.method, "PATCH");
  EXPECT_EQ(request.path, kInShop + "/p/status?fieldManager=heddle-controller");
  EXPECT_EQ(request.content_type, "application/apply-patch+yaml");
  const Json body = Json::parse(request.body);
  EXPECT_EQ(body["apiVersion"], "security.istio.io/v1");
  EXPECT_EQ(body["kind"], "AuthorizationPolicy");
  EXPECT_EQ(body["metadata"], (Json{{"name", "p"}, {"namespace", "shop"}, {"uid", "u"}}));
}

TEST(StatusRequest, TakesAPodsConditionAwayAlone) {
  const PresentStatus present{.uid = "u", .collection = "/api/v1/pods"};
  const kube::ApiRequest request = StatusRequest({api::Kind::kPod, {"shop", "web"}}, present, {});
  EXPECT_EQ(request.path, "/api/v1/namespaces/shop/pods/web/status?fieldManager=heddle-controller");
  EXPECT_EQ(request.content_type, "application/strategic-merge-patch+json");
  EXPECT_EQ(Json::parse(request.body)["status"]["conditions"],
            Json::array({{{"$patch", "delete"}, {"type", "heddle.io/captured"}}}));
}

TEST(PresentStatus, KeepsOnlyWhatIsOurs) {
  const auto present =
      ReadPresentStatus({.json = R"({"metadata":{"uid":"u","generation":4},"status":{"conditions":[
          {"type":"Reconciled","status":"True"},
          {"type":"Accepted","status":"False","reason":"Invalid","message":"a \"b\"",
           "observedGeneration":"4","lastTransitionTime":"2026-01-31T12:00:00Z"}]}})"},
                        kPolicies);
  ASSERT_TRUE(present.has_value());
  EXPECT_EQ(present->uid, "u");
  EXPECT_EQ(present->generation, 4);
  ASSERT_EQ(present->conditions.size(), 1U);
  EXPECT_TRUE(present->conditions[0].Says(
      {.type = kAccepted, .reason = "Invalid", .message = "a \"b\"", .observed_generation = 4}));
  EXPECT_FALSE(ReadPresentStatus({.json = "[]"}, kPolicies).has_value());
  EXPECT_TRUE(ReadPresentStatus({.json = R"({"metadata":{},"status":[]})"}, kPolicies).has_value());
}

TEST(EventName, IsTheSameForTheSameAndLegal) {
  const Occurrence one{
      .object = Key(std::string(253, 'x')), .uid = "u", .reason = "Invalid", .note = "n"};
  Occurrence other = one;
  EXPECT_EQ(EventName(one), EventName(other));
  EXPECT_EQ(EventName(one).size(), 253U);
  other.note = "m";
  EXPECT_NE(EventName(one), EventName(other));
}

TEST(EventName, OfAPodIsTheSameWhateverItsAgentSays) {
  const Occurrence one{
      .object = {api::Kind::kPod, {"shop", "p"}}, .uid = "u", .reason = "NotCaptured", .note = "n"};
  Occurrence other = one;
  other.note = "m";
  EXPECT_EQ(EventName(one), EventName(other));
}

}  // namespace
}  // namespace heddle::controlplane::status
