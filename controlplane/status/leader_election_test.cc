// The election against an API server in memory, in simulated time.

#include "controlplane/status/leader_election.h"

#include <absl/functional/function_ref.h>
#include <gtest/gtest.h>

#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane::status {
namespace {

const std::string kLeases = "/apis/coordination.k8s.io/v1/namespaces/heddle-system/leases";

// One controller with a connection of its own.
struct Candidate {
  Candidate(io::Loop& loop, kube::FakeApiServer& server, Random& random, const std::string& name)
      : client(loop, server.MakeConnector(), kube::BearerToken({}), {.authority = "10.0.0.1:443"}),
        election({.loop = loop,
                  .client = client,
                  .random = random,
                  .name_space = "heddle-system",
                  .identity = name,
                  .registry = registry}),
        scope(loop) {
    scope.Spawn(election.Run(scope.stop()));
  }
  Task<void> End() {
    co_await scope.Drain();
    co_await client.Shutdown();
  }
  bool leads() const { return election.leads(); }

  metrics::Registry registry;
  kube::ApiClient client;
  LeaderElection election;
  Scope scope;
};

class World {
 public:
  World() : loop(simulation.AddLoop()), server(loop) { server.AddCollection(kLeases); }

  Task<bool> Until(absl::FunctionRef<bool()> so, absl::Duration patience) {
    const MonotonicTime end = loop.Now() + patience;
    while (!so() && loop.Now() < end) (void)co_await loop.Sleep(absl::Milliseconds(50), {});
    co_return so();
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

TEST(LeaderElection, OneOfTwoLeadsAndTheOtherFollowsWhenItStops) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Candidate a(world.loop, world.server, world.simulation.random(), "a");
    Candidate b(world.loop, world.server, world.simulation.random(), "b");
    EXPECT_TRUE(co_await world.Until([&] { return a.leads() || b.leads(); }, absl::Seconds(3)));
    Candidate& leader = a.leads() ? a : b;
    Candidate& other = a.leads() ? b : a;
    EXPECT_FALSE(
        co_await world.Until([&] { return other.leads() || !leader.leads(); }, absl::Minutes(5)));
    co_await leader.End();
    EXPECT_FALSE(leader.leads());
    EXPECT_TRUE(co_await world.Until([&] { return other.leads(); }, absl::Seconds(3)))
        << "it was given up, so nobody waits for it to expire";
    co_await other.End();
  });
}

TEST(LeaderElection, ALeaderWithoutServerCeasesBeforeAnotherBegins) {
  World world;
  world.Run([](World& world) -> Task<void> {
    Candidate a(world.loop, world.server, world.simulation.random(), "a");
    EXPECT_TRUE(co_await world.Until([&] { return a.leads(); }, absl::Seconds(3)));
    int began = 0;
    a.election.OnLead([&] { ++began; });
    world.server.down = true;
    world.server.Disconnect();
    EXPECT_TRUE(co_await world.Until([&] { return !a.leads(); }, absl::Seconds(11)));
    EXPECT_FALSE(a.election.trouble().empty());
    EXPECT_FALSE(co_await world.Until([&] { return a.leads(); }, absl::Seconds(5)));
    world.server.down = false;
    EXPECT_TRUE(co_await world.Until([&] { return a.leads(); }, absl::Seconds(12)));
    EXPECT_TRUE(co_await world.Until([&] { return began == 1; }, absl::Seconds(3)));
    EXPECT_EQ(a.election.trouble(), "");
    co_await a.End();
  });
}

TEST(LeaderElection, SaysWhatItMayNotDo) {
  World world;
  world.Run([](World& world) -> Task<void> {
    world.server.RemoveCollection(kLeases);
    Candidate a(world.loop, world.server, world.simulation.random(), "a");
    EXPECT_TRUE(
        co_await world.Until([&] { return !a.election.trouble().empty(); }, absl::Seconds(3)));
    EXPECT_NE(a.election.trouble().find("404"), std::string::npos) << a.election.trouble();
    EXPECT_FALSE(a.leads());
    world.server.AddCollection(kLeases);
    EXPECT_TRUE(co_await world.Until([&] { return a.leads(); }, absl::Seconds(3)));
    co_await a.End();
  });
}

}  // namespace
}  // namespace heddle::controlplane::status
