// The reviewer against an API server in memory, in simulated time.

#include "controlplane/callers/token_reviewer.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane::callers {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

class World {
 public:
  World()
      : loop(simulation.AddLoop()),
        server(loop),
        client(loop, server.MakeConnector(), kube::BearerToken(kube::Material{}),
               {.authority = "10.0.0.1:443", .user_agent = "test"}),
        reviewer({.loop = loop,
                  .client = client,
                  .objects = objects,
                  .accounts = {{"heddle-system", "heddle-agent"}},
                  .registry = registry}) {
    server.AddCollection(kTokenReviews);
    server.reviews[kTokenReviews] = [this](const Json& asked) { return Judge(asked); };
    PutPod("uid-1");
  }

  void PutPod(const std::string& uid) {
    api::Pod pod;
    pod.meta.name = "agent";
    pod.meta.name_space = "heddle-system";
    pod.meta.uid = uid;
    pod.service_account = "heddle-agent";
    pod.node_name = "n1";
    objects.Put(std::make_shared<const api::Pod>(std::move(pod)));
  }

  // A token as an API server makes it; `serial` tells two of one pod apart.
  std::string Token(int serial = 1, const std::string& audience = kAudience,
                    absl::Duration left = absl::Hours(1)) {
    const Json claims = {{"aud", {audience}},
                         {"exp", absl::ToUnixSeconds(loop.clock().Wall() + left)},
                         {"serial", serial}};
    std::string middle;
    absl::WebSafeBase64Escape(claims.dump(), &middle);
    return absl::StrCat("e30.", middle, ".c2ln");
  }

  Task<std::string> Outcome(std::string token) {
    const auto caller = co_await reviewer.Verify(std::move(token), {});
    co_return caller.has_value() ? caller->node : ToString(caller.error().reason);
  }

  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }
  size_t asked() const { return server.requests.size(); }

  io::Simulation simulation{1};
  io::Loop& loop;
  kube::FakeApiServer server;
  kube::ApiClient client;
  metrics::Registry registry;
  api::ObjectStore objects;
  TokenReviewer reviewer;
  std::string user = "system:serviceaccount:heddle-system:heddle-agent";
  bool authenticated = true;

 private:
  Json Judge(const Json& asked) const {
    if (!authenticated) return {{"status", {{"error", "invalid bearer token"}}}};
    const Json extra = {{"authentication.kubernetes.io/pod-name", {"agent"}},
                        {"authentication.kubernetes.io/pod-uid", {"uid-1"}}};
    return {{"status",
             {{"authenticated", true},
              {"audiences", asked.at("spec").at("audiences")},
              {"user", {{"username", user}, {"extra", extra}}}}}};
  }
  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await reviewer.Shutdown();
    co_await client.Shutdown();
    co_await server.End();
  }
};

TEST(TokenReviewer, LetsAnAgentInAndAsksAgainAfterAMinute) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string token = world.Token();
    EXPECT_EQ(co_await world.Outcome(token), "n1");
    EXPECT_EQ(co_await world.Outcome(token), "n1");
    EXPECT_EQ(world.asked(), 1U);
    (void)co_await world.loop.Sleep(absl::Seconds(61), {});
    world.authenticated = false;
    EXPECT_EQ(co_await world.Outcome(token), "token_invalid") << "revoked";
    EXPECT_EQ(world.asked(), 2U);
    EXPECT_EQ(co_await world.Outcome(token), "token_invalid");
    EXPECT_EQ(world.asked(), 2U);
    (void)co_await world.loop.Sleep(absl::Seconds(11), {});
    world.authenticated = true;
    EXPECT_EQ(co_await world.Outcome(token), "n1");
  });
}

TEST(TokenReviewer, DoesNotAskAboutWhatIsPlainlyNoTokenForUs) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_EQ(co_await world.Outcome(""), "token_invalid");
    EXPECT_EQ(co_await world.Outcome(std::string(64, '0')), "token_invalid");
    EXPECT_EQ(co_await world.Outcome(world.Token(1, "https://kubernetes")), "audience");
    EXPECT_EQ(co_await world.Outcome(world.Token(1, kAudience, -absl::Seconds(1))),
              "token_invalid");
    EXPECT_EQ(world.asked(), 0U);
  });
}

TEST(TokenReviewer, APodThatGoesTakesItsTokenAlongAtOnce) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const auto caller = co_await world.reviewer.Verify(world.Token(), {});
    CO_ASSERT_TRUE(caller.has_value());
    EXPECT_FALSE(world.reviewer.Recheck(*caller).has_value());
    world.PutPod("uid-2");
    EXPECT_EQ(co_await world.Outcome(world.Token()), "pod_gone");
    CO_ASSERT_TRUE(world.reviewer.Recheck(*caller).has_value());
    EXPECT_THAT(world.reviewer.Recheck(*caller)->sentence, HasSubstr("uid-1 is not there"));
    EXPECT_EQ(world.asked(), 1U);
  });
}

Task<void> Ask(World& world, std::string token, std::vector<std::string>& outcomes) {
  std::string outcome = co_await world.Outcome(std::move(token));
  outcomes.push_back(std::move(outcome));
}

TEST(TokenReviewer, AsksOnceForManyCallsWithOneToken) {
  World world;
  world.Run([](World& world) -> Task<void> {
    std::vector<std::string> outcomes;
    Scope calls(world.loop);
    for (int i = 0; i < 50; ++i) calls.Spawn(Ask(world, world.Token(), outcomes));
    for (int i = 0; i < 100; ++i) calls.Spawn(Ask(world, world.Token(2 + i), outcomes));
    co_await calls.Join();
    EXPECT_THAT(outcomes, testing::Each("n1"));
    EXPECT_EQ(outcomes.size(), 150U);
    EXPECT_EQ(world.asked(), 101U);
  });
}

TEST(TokenReviewer, TakesKnownTokensOnlyWhileTheServerIsAway) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string known = world.Token();
    const std::string brief = world.Token(2, kAudience, absl::Minutes(3));
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    EXPECT_EQ(co_await world.Outcome(brief), "n1");
    world.server.down = true;
    world.server.Disconnect();
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    EXPECT_EQ(co_await world.Outcome(brief), "n1");
    EXPECT_EQ(co_await world.Outcome(world.Token(3)), "unavailable");
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    EXPECT_EQ(co_await world.Outcome(brief), "token_invalid") << "it has expired";
    EXPECT_THAT(world.registry.Expose(),
                HasSubstr("heddle_controller_token_reviews_stale_total 2\n"));
    (void)co_await world.loop.Sleep(absl::Minutes(15), {});
    EXPECT_EQ(co_await world.Outcome(known), "unavailable") << "not for ever";
    world.server.down = false;
    EXPECT_EQ(co_await world.Outcome(known), "n1");
  });
}

TEST(TokenReviewer, AFloodOfTokensKeepsNoKnownAgentOut) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string known = world.Token();
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    std::vector<std::string> flood;
    Scope calls(world.loop);
    for (size_t i = 0; i < kMaxReviews + kMaxWaitingReviews; ++i)
      calls.Spawn(Ask(world, world.Token(1000 + static_cast<int>(i)), flood));
    EXPECT_EQ(co_await world.Outcome(world.Token(2)), "unavailable");
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    EXPECT_TRUE(flood.empty()) << "it has waited for none of them";
    co_await calls.Join();
  });
}

TEST(TokenReviewer, AsksAboutKnownTokensFirst) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string known = world.Token();
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    std::vector<std::string> flood;
    Scope calls(world.loop);
    for (int i = 0; i < 4000; ++i) calls.Spawn(Ask(world, world.Token(1000 + i), flood));
    EXPECT_EQ(co_await world.Outcome(known), "n1");
    EXPECT_LE(flood.size(), 4 * kMaxReviews);
    co_await calls.Join();
  });
}

TEST(TokenReviewer, SaysWhenItMayNotAsk) {
  World world;
  world.server.forbidden = {kTokenReviews};
  world.Run([](World& world) -> Task<void> {
    const auto caller = co_await world.reviewer.Verify(world.Token(), {});
    CO_ASSERT_TRUE(!caller.has_value());
    EXPECT_EQ(caller.error().reason, Reason::kUnavailable);
    EXPECT_THAT(caller.error().sentence, HasSubstr("403 Forbidden to POST"));
  });
}

}  // namespace
}  // namespace heddle::controlplane::callers
