#include "controlplane/startup_taint.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "lib/base/scope.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;

api::Pod Agent(const char* name, const char* node) {
  return {.meta = {.name = name, .name_space = "heddle-system", .uid = std::string("uid-") + name},
          .service_account = kAgentAccount,
          .node_name = node};
}

TEST(ReadyAgents, AreThoseOfOurNamespaceThatServe) {
  api::Pod unready = Agent("unready", "n2");
  unready.ready = false;
  api::Pod leaving = Agent("leaving", "n3");
  leaving.meta.deleting = true;
  api::Pod ended = Agent("ended", "n4");
  ended.terminal = true;
  api::Pod other = Agent("other", "n5");
  other.service_account = "heddle-controller";
  api::Pod foreign = Agent("foreign", "n6");
  foreign.meta.name_space = "elsewhere";
  api::ObjectStore objects;
  for (api::Pod& pod : std::vector{Agent("good", "n1"), unready, leaving, ended, other, foreign,
                                   Agent("unbound", "")}) {
    objects.Put(std::make_shared<const api::Pod>(pod));
  }
  EXPECT_THAT(ReadyAgents(objects, "heddle-system"), ElementsAre(ReadyAgent{"uid-good", "n1", ""}));
  objects.Put(
      std::make_shared<const api::Node>(api::Node{.meta = {.name = "n1", .uid = "second"}}));
  EXPECT_THAT(ReadyAgents(objects, "heddle-system"),
              ElementsAre(ReadyAgent{"uid-good", "n1", "second"}));
}

class World {
 public:
  World()
      : loop(simulation.AddLoop()),
        server(loop),
        client(loop, server.MakeConnector(), kube::BearerToken({}), {.authority = "10.0.0.1:443"}),
        taint({.loop = loop,
               .client = client,
               .random = simulation.random(),
               .objects = objects,
               .name_space = "heddle-system",
               .leads = [] { return true; },
               .registry = registry}),
        scope(loop) {
    server.AddCollection(kNodes);
    for (int i = 0; i < 100; ++i) {
      const std::string name = absl::StrCat("n", i);
      server.Put(kNodes, nlohmann::json{{"metadata", {{"name", name}}},
                                        {"spec", {{"taints", nlohmann::json::array()}}}});
      objects.Put(std::make_shared<const api::Pod>(Agent(name.c_str(), name.c_str())));
    }
  }
  size_t Asked() const { return server.requests.size(); }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  static constexpr char kNodes[] = "/api/v1/nodes";
  io::Simulation simulation{1};
  io::Loop& loop;
  kube::FakeApiServer server;
  kube::ApiClient client;
  api::ObjectStore objects;
  metrics::Registry registry;
  StartupTaint taint;
  Scope scope;

 private:
  Task<void> RunBody(Task<void> (*body)(World&)) {
    scope.Spawn(taint.Run(scope.stop()));
    co_await body(*this);
    co_await scope.Drain();
    co_await client.Shutdown();
    co_await server.End();
  }
};

TEST(StartupTaint, AsksAboutEachNodeOnce) {
  World world;
  world.Run([](World& world) -> Task<void> {
    (void)co_await world.loop.Sleep(absl::Minutes(1), {});
    EXPECT_EQ(world.Asked(), 100U);
  });
}

TEST(StartupTaint, WhoIsRefusedAsksSeldomAndGoesOnWhenItMay) {
  World world;
  for (int i = 0; i < 100; ++i) world.server.forbidden.insert(absl::StrCat(World::kNodes, "/n", i));
  world.Run([](World& world) -> Task<void> {
    (void)co_await world.loop.Sleep(absl::Minutes(2), {});
    EXPECT_GE(world.Asked(), 4U);
    EXPECT_LE(world.Asked(), 15U);
    world.server.forbidden.clear();
    const size_t before = world.Asked();
    (void)co_await world.loop.Sleep(absl::Minutes(1), {});
    EXPECT_EQ(world.Asked(), before + 100);
  });
}

}  // namespace
}  // namespace heddle::controlplane
