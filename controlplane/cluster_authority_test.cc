// Authorities of several controllers on an API server in memory, in simulated time.

#include "controlplane/cluster_authority.h"

#include <absl/algorithm/container.h>
#include <absl/functional/function_ref.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/ca/root_secret.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/simulation.h"
#include "lib/kube/testing/fake_api_server.h"

namespace heddle::controlplane {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

const std::string kSecrets = "/api/v1/namespaces/heddle-system/secrets";
const std::string kConfigMaps = "/api/v1/namespaces/heddle-system/configmaps";

// One controller's.
struct Member {
  Member(io::Loop& loop, kube::FakeApiServer& server, Random& random)
      : client(loop, server.MakeConnector(), kube::BearerToken(kube::Material{}),
               {.authority = "10.0.0.1:443", .user_agent = "test"}),
        authority(loop.clock()),
        roots({.loop = loop,
               .client = client,
               .random = random,
               .name_space = "heddle-system",
               .authority = authority,
               .registry = registry}) {}

  kube::ApiClient client;
  metrics::Registry registry;
  ca::CertificateAuthority authority;
  ClusterAuthority roots;
};

class World {
 public:
  World() : loop(simulation.AddLoop()), server(loop), scope(loop) {
    server.AddCollection(kSecrets);
    server.AddCollection(kConfigMaps);
    for (int i = 0; i < 2; ++i)
      members.push_back(std::make_unique<Member>(loop, server, simulation.random()));
  }

  Task<bool> Until(absl::FunctionRef<bool()> so) {
    for (int i = 0; i < 6000 && !so(); ++i) (void)co_await loop.Sleep(absl::Milliseconds(100), {});
    co_return so();
  }
  Task<bool> Ready() {
    for (const auto& member : members) scope.Spawn(member->roots.Run(scope.stop()));
    co_return co_await Until([this] {
      return members[0]->authority.has_keys() && members[1]->authority.has_keys() &&
             Bundle() == members[0]->authority.roots_pem();
    });
  }
  Json Secret() const { return server.Get(kSecrets, "heddle-system", ca::kSecretName); }
  std::string Bundle() const {
    const Json map = server.Get(kConfigMaps, "heddle-system", ca::kRootConfigMapName);
    return map.is_null() ? "" : map.at("data").value(ca::kRootKey, "");
  }
  void PatchSecret(const Json& patch) {
    Json secret = Secret();
    secret.merge_patch(patch);
    server.Put(kSecrets, secret);
  }
  size_t Writes() const {
    return static_cast<size_t>(std::ranges::count_if(
        server.requests, [](const std::string& request) { return !request.starts_with('/'); }));
  }
  void Run(Task<void> (*body)(World&)) { simulation.Run(loop, RunBody(body)); }

  io::Simulation simulation{1};
  io::Loop& loop;
  kube::FakeApiServer server;
  std::vector<std::unique_ptr<Member>> members;
  Scope scope;

 private:
  Task<void> RunBody(Task<void> (*body)(World&)) {
    co_await body(*this);
    co_await scope.Drain();
    for (const auto& member : members) co_await member->client.Shutdown();
    co_await server.End();
  }
};

TEST(ClusterAuthority, ControllersThatStartAtOnceHaveOneRoot) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_TRUE(co_await world.Ready());
    EXPECT_EQ(world.members[0]->authority.root(), world.members[1]->authority.root());
    EXPECT_EQ(world.Secret().at("type"), "heddle.io/ca");
    EXPECT_THAT(world.members[0]->roots.trouble(), testing::IsEmpty());
    EXPECT_THAT(world.members[0]->registry.Expose(),
                HasSubstr("heddle_controller_root_failures_total 0\n"))
        << "to await the first answer is no failure";
    const size_t writes = world.Writes();
    (void)co_await world.loop.Sleep(absl::Hours(24), {});
    EXPECT_EQ(world.Writes(), writes) << "nothing is written without need";
  });
}

TEST(ClusterAuthority, WhatIsOfNoUseLeavesTheLastGoodRoot) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_TRUE(co_await world.Ready());
    Member& member = *world.members[0];
    const tls::Certificate root = member.authority.root();
    const Json good = world.Secret().at("data");
    world.PatchSecret({{"data", {{"root-key.pem", "b29wcw=="}}}});
    EXPECT_TRUE(co_await world.Until([&member] { return !member.roots.trouble().empty(); }));
    EXPECT_THAT(member.roots.trouble(), HasSubstr("the Secret heddle-ca: root-key.pem"));
    (void)co_await world.loop.Sleep(absl::Hours(30), {});
    EXPECT_EQ(member.authority.root(), root);
    EXPECT_TRUE(member.authority.IssueServer({"a"}).ok());
    world.PatchSecret({{"data", good}});
    EXPECT_TRUE(co_await world.Until([&member] { return member.roots.trouble().empty(); }));
    world.server.Delete(kSecrets, "heddle-system", ca::kSecretName);
    EXPECT_TRUE(co_await world.Until([&world] { return !world.Secret().is_null(); }));
    EXPECT_EQ(world.Secret().at("data"), good) << "made again with what it had";
  });
}

TEST(ClusterAuthority, PutsTheBundleRightWithoutAFight) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_TRUE(co_await world.Ready());
    const std::string wanted = world.Bundle();
    const size_t writes = world.Writes();
    const Json wrong = {
        {"metadata", {{"name", ca::kRootConfigMapName}, {"namespace", "heddle-system"}}},
        {"data", {{ca::kRootKey, "oops"}}}};
    for (int i = 0; i < 60; ++i) {
      world.server.Put(kConfigMaps, wrong);
      (void)co_await world.loop.Sleep(absl::Seconds(1), {});
    }
    EXPECT_TRUE(co_await world.Until([&] { return world.Bundle() == wanted; }));
    EXPECT_LE(world.Writes() - writes, 16U) << "two controllers, each every ten seconds";
  });
}

TEST(ClusterAuthority, WithoutTheApiServerNothingIsSignedThatCouldOutliveARotation) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_TRUE(co_await world.Ready());
    const ca::CertificateAuthority& authority = world.members[0]->authority;
    world.server.down = true;
    world.server.Disconnect();
    const absl::Time lost = world.loop.clock().Wall();
    (void)co_await world.loop.Sleep(absl::Hours(12), {});
    const auto issued = authority.IssueServer({"a"});
    CO_ASSERT_TRUE(issued.ok());
    EXPECT_LE(issued->chain.front().not_after(), lost + ca::kRotationStep);
    (void)co_await world.loop.Sleep(absl::Hours(14), {});
    EXPECT_EQ(authority.IssueServer({"a"}).status().code(), absl::StatusCode::kUnavailable);
    world.server.down = false;
    EXPECT_TRUE(co_await world.Until([&] { return authority.IssueServer({"a"}).ok(); }));
  });
}

// A root of which nobody has the key any more.
std::string LostRoot(const World& world) {
  return ca::MakeRoots(world.loop.clock().Wall()).value().certificate_pem;
}

void PutBundle(World& world, const std::string& pem) {
  world.server.Put(
      kConfigMaps,
      {{"metadata", {{"name", ca::kRootConfigMapName}, {"namespace", "heddle-system"}}},
       {"data", {{ca::kRootKey, pem}}}});
}

void PutSecret(World& world, const ca::StoredRoots& roots) {
  Json secret = Json::parse(ca::NewRootSecret(roots));
  secret["metadata"]["namespace"] = "heddle-system";
  world.server.Put(kSecrets, secret);
}

Task<void> ExpectUsed(World& world, const ca::StoredRoots& roots) {
  const Member& member = *world.members[0];
  EXPECT_TRUE(co_await world.Until([&member] { return member.authority.has_keys(); }));
  EXPECT_EQ(member.authority.roots_pem(), roots.certificate_pem);
}

TEST(ClusterAuthority, WhereTheSecretAloneIsGoneNoNewRootIsForcedOnThoseWhoTrustTheOldOne) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const std::string lost = LostRoot(world);
    PutBundle(world, lost);
    for (const auto& member : world.members)
      world.scope.Spawn(member->roots.Run(world.scope.stop()));
    EXPECT_TRUE(co_await world.Until([&world] {
      return absl::c_all_of(world.members,
                            [](const auto& member) { return !member->roots.trouble().empty(); });
    }));
    (void)co_await world.loop.Sleep(absl::Hours(1), {});
    for (const auto& member : world.members) {
      EXPECT_THAT(member->roots.trouble(), HasSubstr("the Secret heddle-ca is gone"));
      EXPECT_THAT(member->roots.trouble(), HasSubstr("delete the ConfigMap heddle-root"));
      EXPECT_FALSE(member->authority.has_keys());
    }
    EXPECT_TRUE(world.Secret().is_null());
    EXPECT_EQ(world.Bundle(), lost);
    EXPECT_EQ(world.Writes(), 0U);
    // Who says that the old one is to be forgotten gets a new one.
    world.server.Delete(kConfigMaps, "heddle-system", ca::kRootConfigMapName);
    EXPECT_TRUE(co_await world.Until([&world] {
      return world.members[0]->authority.has_keys() && world.members[1]->authority.has_keys() &&
             world.Bundle() == world.members[0]->authority.roots_pem();
    }));
    EXPECT_THAT(world.members[0]->roots.trouble(), testing::IsEmpty());
    EXPECT_EQ(world.members[0]->authority.root(), world.members[1]->authority.root());
  });
}

TEST(ClusterAuthority, ASecretThatIsBroughtBackIsUsedAtOnce) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const ca::StoredRoots kept = ca::MakeRoots(world.loop.clock().Wall()).value();
    PutBundle(world, kept.certificate_pem);
    world.scope.Spawn(world.members[0]->roots.Run(world.scope.stop()));
    EXPECT_TRUE(
        co_await world.Until([&world] { return !world.members[0]->roots.trouble().empty(); }));
    PutSecret(world, kept);
    co_await ExpectUsed(world, kept);
    EXPECT_THAT(world.members[0]->roots.trouble(), testing::IsEmpty());
  });
}

TEST(ClusterAuthority, ABundleThatIsHeardOfBeforeItsSecretIsNoTrouble) {
  World world;
  world.Run([](World& world) -> Task<void> {
    const ca::StoredRoots others = ca::MakeRoots(world.loop.clock().Wall()).value();
    PutBundle(world, others.certificate_pem);
    world.scope.Spawn(world.members[0]->roots.Run(world.scope.stop()));
    (void)co_await world.loop.Sleep(absl::Seconds(4), {});
    EXPECT_THAT(world.members[0]->roots.trouble(), testing::Not(HasSubstr("gone")));
    PutSecret(world, others);
    co_await ExpectUsed(world, others);
  });
}

TEST(ClusterAuthority, ABundleThatNobodyCanTrustIsInNobodysWay) {
  for (const char* nothing : {"", "oops"}) {
    World world;
    PutBundle(world, nothing);
    world.Run([](World& world) -> Task<void> { EXPECT_TRUE(co_await world.Ready()); });
  }
}

TEST(ClusterAuthority, ARotationThatIsAskedForHappens) {
  World world;
  world.Run([](World& world) -> Task<void> {
    EXPECT_TRUE(co_await world.Ready());
    const std::string before = world.Bundle();
    world.PatchSecret({{"metadata", {{"annotations", {{"heddle.io/rotate", "now"}}}}}});
    EXPECT_TRUE(co_await world.Until([&] { return world.Bundle() != before; }));
    EXPECT_TRUE(world.Bundle().starts_with(before));
    (void)co_await world.loop.Sleep(absl::Hours(25) + absl::Minutes(2), {});
    for (const auto& member : world.members)
      EXPECT_TRUE(member->authority.roots_pem().ends_with(before)) << "the next one signs";
    (void)co_await world.loop.Sleep(absl::Hours(25) + absl::Minutes(2), {});
    EXPECT_THAT(world.Bundle(), testing::Not(HasSubstr(before)));
    EXPECT_EQ(world.Secret().at("data").size(), 2U);
    EXPECT_EQ(world.members[0]->authority.root(), world.members[1]->authority.root());
  });
}

}  // namespace
}  // namespace heddle::controlplane
