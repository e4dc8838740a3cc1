// What policy lets through a mesh of two nodes, and ends.

#include <gmock/gmock.h>

#include "agent/proxy/relay.h"
#include "agent/proxy/testing/two_pods.h"

namespace heddle::agent::testing {
namespace {

using ::testing::HasSubstr;

// Nobody may be reached by "a".
constexpr std::string_view kDenyA =
    R"(name: "no-a" namespace: "default" scope: NAMESPACE action: DENY
    rules { clauses { matches { principals { exact: "cluster.local/ns/default/sa/a" } } } })";

MESH_TEST(DeniesByPolicyWithAResetAndSaysWhy) {
  mesh.world().AddPolicy(kDenyA);
  co_await mesh.Start();
  EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(1)).flags, "DENY");
  EXPECT_THAT(Last(mesh.node(1)).error, HasSubstr("default/no-a"));
  EXPECT_THAT(Last(mesh.node(0)).error, HasSubstr("http status: 401"));
  Ends back = co_await Join(mesh, t.b, t.a.address, t.a);
  EXPECT_TRUE(back.complete());
  back = {};
  co_await mesh.Stop();
}

MESH_TEST(EndsLiveConnectionsThatAChangeOfPolicyForbids) {
  co_await mesh.Start();
  {
    Ends denied = co_await Join(mesh, t.a, t.b.address, t.b);
    Ends kept = co_await Join(mesh, t.b, t.a.address, t.a);
    CO_ASSERT_TRUE(denied.complete() && kept.complete());
    mesh.world().AddPolicy(kDenyA);
    mesh.Publish();
    EXPECT_EQ(co_await ReadEnd(*denied.client), StreamEnd::kReset);
    EXPECT_EQ(co_await ReadEnd(*denied.server), StreamEnd::kReset);
    EXPECT_TRUE(co_await Says(*kept.client, *kept.server, "still here"));
    EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kPolicyChanged);
  }
  co_await mesh.Stop();
}

MESH_TEST(EndsParkedConnectionsThatAChangeOfPolicyForbids) {
  Mesh::Pod& outsider = mesh.AddOutsider("out");
  co_await mesh.Start();
  {
    Ends meshed = co_await Join(mesh, t.a, t.b.address, t.b);
    Ends plain = co_await Join(mesh, outsider, t.b.address, t.b);
    Ends kept = co_await Join(mesh, t.b, t.a.address, t.a);
    CO_ASSERT_TRUE(meshed.complete() && plain.complete() && kept.complete());
    co_await mesh.loop().Sleep(4 * kParkDelay, {});
    mesh.world().AddPolicy(R"(name: "nobody" namespace: "default" scope: WORKLOAD_SELECTOR action: ALLOW)");
    t.b.workload.policies = {"default/nobody"};
    mesh.world().Add(t.b.workload);
    mesh.Publish();
    for (io::Connection* end : {meshed.client.get(), meshed.server.get(), plain.client.get(), plain.server.get()})
      EXPECT_EQ(co_await ReadEnd(*end), StreamEnd::kReset);
    EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kPolicyChanged);
    EXPECT_TRUE(co_await Says(*kept.client, *kept.server, "still here"));
  }
  co_await mesh.Stop();
}

MESH_TEST(JudgesLiveConnectionsByTheWorkloadAsItIsNow) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    mesh.world().AddPolicy(
        R"(name: "none" namespace: "default" scope: WORKLOAD_SELECTOR action: ALLOW)");
    mesh.Publish();
    EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "not selected"));
    t.b.workload.policies = {"default/none"};
    mesh.world().Add(t.b.workload);
    mesh.Publish();
    EXPECT_EQ(co_await ReadEnd(*ends.server), StreamEnd::kReset);
  }
  co_await mesh.Stop();
}

MESH_TEST(ServesPlaintextFromOutsideUnlessPolicyWantsAnIdentity) {
  Mesh::Pod& outsider = mesh.AddOutsider("out");
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, outsider, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    EXPECT_EQ(ends.server->peer().ip, outsider.address.ip);
    EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "hello"));
  }
  mesh.world().AddPolicy(R"(name: "strict" namespace: "default" scope: NAMESPACE action: DENY
                            rules { clauses { matches { not_principals { presence {} } } } })");
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  EXPECT_EQ(co_await Outcome(mesh, outsider, t.b.address), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(1)).flags, "DENY");
  Ends meshed = co_await Join(mesh, t.a, t.b.address, t.b);
  EXPECT_TRUE(meshed.complete());
  meshed = {};
  co_await mesh.Stop();
}

}  // namespace
}  // namespace heddle::agent::testing
