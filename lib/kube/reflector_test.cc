// Reflector, ApiClient and HTTP/2 together against an API server in memory, in simulated time.

#include "lib/kube/reflector.h"

#include <absl/functional/function_ref.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

const std::string kPods = "/api/v1/pods";

class World : public ObjectSink {
 public:
  explicit World(Material token = {.data = "secret"}, ReflectorOptions options = {})
      : loop(simulation.AddLoop()),
        server(loop),
        client(loop, server.MakeConnector(), BearerToken(std::move(token)),
               {.authority = "10.0.0.1:443", .user_agent = "test"}),
        reflector(loop, client, WithPath(std::move(options)), *this, simulation.random()),
        scope(loop) {}

  void OnObject(const RawObject& object) override {
    objects.insert(object.name.ToString());
    told.push_back("+" + object.name.name);
  }
  void OnGone(const ObjectName& name) override {
    objects.erase(name.ToString());
    told.push_back("-" + name.name);
  }
  void OnState(const ReflectorState& state) override {
    if (!state.trouble().empty()) troubles.insert(state.trouble());
  }

  void Start() { scope.Spawn(reflector.Run(scope.stop())); }
  // Lets time pass until it is so, for an hour at most.
  Task<bool> Until(absl::FunctionRef<bool()> so) {
    for (int i = 0; i < 36'000 && !so(); ++i)
      (void)co_await loop.Sleep(absl::Milliseconds(100), {});
    co_return so();
  }
  Task<bool> Watching() {
    co_return co_await Until([this] { return server.open_watches() == 1; });
  }
  Task<void> End() {
    co_await scope.Drain();
    co_await client.Shutdown();
    co_await server.End();
  }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  io::Simulation simulation{1};
  io::Loop& loop;
  FakeApiServer server;
  ApiClient client;
  Reflector reflector;
  std::set<std::string> objects;
  std::vector<std::string> told;
  std::set<std::string> troubles;
  Scope scope;

 private:
  static ReflectorOptions WithPath(ReflectorOptions options) {
    options.paths = {kPods};
    return options;
  }
  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await End();
  }
};

TEST(Reflector, ListsInPagesAndFollows) {
  World world({.data = "secret"}, {.page_objects = 2});
  world.Run([](World& world) -> Task<void> {
    for (const char* name : {"a", "b", "c", "d", "e"}) world.server.Put(kPods, "shop", name);
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    EXPECT_THAT(world.objects, SizeIs(5));
    EXPECT_TRUE(world.reflector.state().synced());
    EXPECT_EQ(world.reflector.state().stats().pages, 3U);
    world.server.Put(kPods, "shop", "f");
    world.server.Delete(kPods, "shop", "a");
    EXPECT_TRUE(co_await world.Until([&] { return !world.objects.contains("shop/a"); }));
    EXPECT_THAT(world.objects,
                UnorderedElementsAre("shop/b", "shop/c", "shop/d", "shop/e", "shop/f"));
    EXPECT_EQ(world.server.connections, 1);
    EXPECT_THAT(world.troubles, IsEmpty());
  });
}

TEST(Reflector, ResumesAfterALostConnectionWithoutListing) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.Put(kPods, "shop", "a");
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    world.server.down = true;
    world.server.Disconnect();
    world.server.Put(kPods, "shop", "b");
    world.server.Delete(kPods, "shop", "a");
    (void)co_await world.loop.Sleep(absl::Minutes(1), {});
    EXPECT_THAT(world.objects, ElementsAre("shop/a")) << "what was known stays";
    world.server.down = false;
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/b"); }));
    EXPECT_THAT(world.told, ElementsAre("+a", "+b", "-a"));
    EXPECT_EQ(world.reflector.state().stats().lists, 1U);
    EXPECT_EQ(world.server.connections, 2);
    EXPECT_THAT(world.troubles, testing::Contains(HasSubstr("connecting to the API server")));
    EXPECT_THAT(world.reflector.state().trouble(), IsEmpty());
  });
}

TEST(Reflector, ResumesFromABookmark) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.AddCollection(kPods);
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    world.server.Compact();
    world.server.SendBookmarks();
    (void)co_await world.loop.Sleep(absl::Seconds(1), {});
    world.server.EndWatches();
    world.server.Put(kPods, "shop", "a");
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/a"); }));
    EXPECT_EQ(world.reflector.state().stats().expired, 0U);
  });
}

Task<void> ExpiresAndRelists(World& world) {
  world.server.Put(kPods, "shop", "a");
  world.server.Put(kPods, "shop", "b");
  world.Start();
  EXPECT_TRUE(co_await world.Watching());
  world.server.down = true;
  world.server.Disconnect();
  world.server.Delete(kPods, "shop", "a");
  world.server.Put(kPods, "shop", "c");
  world.server.Compact();
  world.server.down = false;
  EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/c"); }));
  EXPECT_THAT(world.told, ElementsAre("+a", "+b", "+c", "-a")) << "b is the same";
  EXPECT_EQ(world.reflector.state().stats().expired, 1U);
}

TEST(Reflector, RelistsAfterAnExpiredVersionInAnEvent) {
  World world;
  world.Run(&ExpiresAndRelists);
}

TEST(Reflector, RelistsAfterAnExpiredVersionAsAnAnswer) {
  World world;
  world.server.expire_as_event = false;
  world.Run(&ExpiresAndRelists);
}

TEST(Reflector, WaitsForAKindThatIsInstalledLater) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.Start();
    EXPECT_TRUE(co_await world.Until([&] { return world.reflector.state().synced(); }));
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    EXPECT_LT(world.server.requests.size(), 30U);
    world.server.Put(kPods, "shop", "a");
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/a"); }));
    EXPECT_THAT(world.troubles, IsEmpty());
    world.server.RemoveCollection(kPods);
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.empty(); }));
    EXPECT_EQ(world.reflector.state().phase(), ReflectorState::Phase::kAbsent);
  });
}

TEST(Reflector, AsksSlowlyForWhatIsForbidden) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.Put(kPods, "shop", "a");
    world.server.forbidden.insert(kPods);
    world.Start();
    (void)co_await world.loop.Sleep(absl::Minutes(10), {});
    EXPECT_FALSE(world.reflector.state().synced());
    EXPECT_THAT(world.troubles,
                ElementsAre(HasSubstr("403 Forbidden to the list of /api/v1/pods")));
    EXPECT_LE(world.server.requests.size(), 25U);
    world.server.forbidden.clear();
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/a"); }));
  });
}

TEST(Reflector, ReadsARotatedTokenAndConnectsAgain) {
  static const TemporaryDirectory directory;
  directory.Write("token", "first\n");
  World world({.file = directory / "token"});
  world.Run([](World& world) -> Task<void> {
    world.server.token = "first";
    world.server.AddCollection(kPods);
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    directory.Replace("token", "second");
    world.server.token = "second";
    world.server.EndWatches();
    world.server.Put(kPods, "shop", "a");
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/a"); }));
    EXPECT_EQ(world.reflector.state().stats().lists, 1U);
    EXPECT_EQ(world.server.connections, 2);
  });
}

TEST(Reflector, SurvivesGarbageOverloadAndEndlessEnds) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.Put(kPods, "shop", "a");
    world.server.fail_next = 3;
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    EXPECT_THAT(world.troubles, testing::Contains(HasSubstr("503 ServiceUnavailable")));
    world.server.SendLine(kPods, "garbage");
    world.server.Delete(kPods, "shop", "a");
    world.server.Put(kPods, "shop", "b");
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/b"); }));
    EXPECT_THAT(world.objects, ElementsAre("shop/b"));
    EXPECT_TRUE(co_await world.Watching());
    const size_t before = world.server.requests.size();
    for (int i = 0; i < 600; ++i) {
      world.server.EndWatches();
      (void)co_await world.loop.Sleep(absl::Seconds(1), {});
    }
    EXPECT_LT(world.server.requests.size() - before, 200U);
  });
}

TEST(Reflector, AnEventThatIsTooLongIsAListAndASentence) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.AddCollection(kPods);
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    world.server.SendLine(kPods, std::string(kMaxEventBytes + 1, 'x'));
    world.server.Put(kPods, "shop", "a");
    EXPECT_TRUE(co_await world.Until([&] { return world.objects.contains("shop/a"); }));
    EXPECT_EQ(world.reflector.state().stats().lists, 2U);
    EXPECT_THAT(world.troubles, ElementsAre(HasSubstr("is longer than 8388608 bytes")));
  });
}

TEST(ApiClient, GivesAnswersAndSentences) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.AddCollection(kPods);
    ApiRequest request{.path = kPods};
    const auto answer = co_await world.client.Call(request, {});
    CO_ASSERT_TRUE(answer.ok());
    EXPECT_EQ(answer->status, 200);
    EXPECT_THAT(answer->body, HasSubstr("resourceVersion"));
    world.server.forbidden.insert(kPods);
    const auto refused = co_await world.client.Call(request, {});
    CO_ASSERT_TRUE(refused.ok());
    EXPECT_EQ(StatusOf(request, *refused),
              absl::PermissionDeniedError("the API server answers 403 Forbidden to GET "
                                          "/api/v1/pods: the fake server says so"));
    world.server.down = true;
    world.server.Disconnect();
    (void)co_await world.loop.Sleep(absl::Seconds(1), {});
    const auto failed = co_await world.client.Call(request, {});
    EXPECT_EQ(failed.status().code(), absl::StatusCode::kUnavailable);
    EXPECT_THAT(std::string(failed.status().message()),
                HasSubstr("connecting to the API server 10.0.0.1:443: refused"));
  });
}

TEST(ApiClient, SendsABody) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.AddCollection(kPods);
    ApiRequest request{.method = "PATCH",
                       .path = kPods,
                       .body = std::string(200'000, 'x'),
                       .content_type = "application/apply-patch+yaml"};
    const auto answer = co_await world.client.Call(std::move(request), {});
    EXPECT_TRUE(answer.ok()) << answer.status();
  });
}

TEST(BearerToken, IsReadAgainAfterAWhileAndWhenItWasRefused) {
  const TemporaryDirectory directory;
  MonotonicTime now = MonotonicTime::FromNanoseconds(1'000'000'000);
  BearerToken token({.file = directory / "token"});
  EXPECT_FALSE(token.Get(now).ok());
  directory.Write("token", " first \n");
  EXPECT_EQ(*token.Get(now), "first");
  directory.Replace("token", "second");
  EXPECT_EQ(*token.Get(now + absl::Seconds(29)), "first");
  EXPECT_EQ(*token.Get(now + absl::Seconds(30)), "second");
  directory.Replace("token", "third");
  token.Forget();
  EXPECT_EQ(*token.Get(now + absl::Seconds(31)), "third");
  directory.Replace("token", "a\nb");
  EXPECT_EQ(*token.Get(now + absl::Seconds(90)), "third") << "what cannot be carried is no token";
  EXPECT_EQ(*BearerToken({}).Get(now), "");
  EXPECT_THAT(std::string(BearerToken({.data = "a b"}).Get(now).status().message()),
              HasSubstr("characters that no token has"));
}

TEST(Reflector, FollowsOnlyWhatItsSelectorsSelect) {
  World world({.data = "secret"},
              {.field_selector = "metadata.name=b", .label_selector = "team/app=web"});
  world.Run([](World& world) -> Task<void> {
    const auto put = [&world](const char* name, const char* app) {
      const nlohmann::json labels = {{"team/app", app}};
      world.server.Put(kPods, {{"metadata", {{"name", name}, {"labels", labels}}}});
    };
    put("a", "web");
    put("b", "web");
    world.Start();
    EXPECT_TRUE(co_await world.Watching());
    put("c", "web");
    put("b", "db");
    put("b", "web");
    EXPECT_TRUE(co_await world.Until([&world] { return world.told.size() == 2; }));
    EXPECT_THAT(world.told, ElementsAre("+b", "+b"));
  });
}

TEST(ApiClient, WritesWhatAServerKeeps) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string path = "/api/v1/namespaces/shop/secrets";
    world.server.AddCollection(path);
    ApiRequest made{.method = "POST",
                    .path = path,
                    .body = R"({"metadata":{"name":"a"},"data":{"k":"1"}})",
                    .content_type = "application/json"};
    EXPECT_EQ((co_await world.client.Call(made, {}))->status, 201);
    const auto again = co_await world.client.Call(std::move(made), {});
    EXPECT_EQ(again->status, 409);
    nlohmann::json object = world.server.Get(path, "shop", "a");
    ApiRequest replaced{.method = "PUT",
                        .path = path + "/a",
                        .body = object.dump(),
                        .content_type = "application/json"};
    EXPECT_EQ((co_await world.client.Call(replaced, {}))->status, 200);
    const auto stale = co_await world.client.Call(std::move(replaced), {});
    EXPECT_EQ(stale->status, 409) << "of another version";
    ApiRequest applied{.method = "PATCH",
                       .path = path + "/b?fieldManager=x",
                       .body = R"({"metadata":{"name":"b"}})",
                       .content_type = "application/apply-patch+yaml"};
    EXPECT_EQ((co_await world.client.Call(std::move(applied), {}))->status, 200);
    EXPECT_EQ(world.server.Get(path, "shop", "b").at("metadata").at("namespace"), "shop");
    ApiRequest removed{.method = "DELETE", .path = path + "/a"};
    EXPECT_EQ((co_await world.client.Call(std::move(removed), {}))->status, 200);
    EXPECT_TRUE(world.server.Get(path, "shop", "a").is_null());
  });
}

}  // namespace
}  // namespace heddle::kube
