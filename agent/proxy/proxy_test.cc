#include "agent/proxy/proxy.h"

#include <gmock/gmock.h>

#include "agent/proxy/relay.h"
#include "agent/proxy/testing/two_pods.h"
#include "lib/base/frame_allocator.h"
#include "lib/io/testing/co_test.h"

namespace heddle::agent::testing {
namespace {

using ::testing::HasSubstr;

MESH_TEST(CarriesBytesBothWaysUnderBothIdentities) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "question"));
    EXPECT_TRUE(co_await Says(*ends.server, *ends.client, "answer"));
    EXPECT_EQ(ends.server->peer().ip, t.a.address.ip);
    CO_ASSERT_TRUE(co_await ends.client->ShutdownWrite({}));
    EXPECT_EQ(co_await ReadEnd(*ends.server), StreamEnd::kOrderly);
    EXPECT_TRUE(co_await Says(*ends.server, *ends.client, "late"));
    CO_ASSERT_TRUE(co_await ends.server->ShutdownWrite({}));
    EXPECT_EQ(co_await ReadEnd(*ends.client), StreamEnd::kOrderly);
  }
  co_await mesh.Stop();
  CO_ASSERT_TRUE(mesh.node(0).log.connections.size() == 1 &&
                 mesh.node(1).log.connections.size() == 1);
  const LoggedConnection& in = mesh.node(1).log.connections[0];
  EXPECT_EQ(in.source_identity, "spiffe://cluster.local/ns/default/sa/a");
  EXPECT_EQ(in.flags, "-");
  EXPECT_EQ(in.bytes_from_client, 8u);
  EXPECT_EQ(in.bytes_from_server, 10u);
  EXPECT_THAT(mesh.node(0).log.connections[0].destination, HasSubstr("10.0.0.2:15008"));
}

MESH_TEST(ResetsAConnectionWhoseApplicationRefuses) {
  co_await mesh.Start();
  EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kDialFailed);
  EXPECT_EQ(Last(mesh.node(0)).reason, FailureReason::kTunnelRefused);
  EXPECT_THAT(Last(mesh.node(0)).error, HasSubstr("http status: 503"));
  co_await mesh.Stop();
}

MESH_TEST(ResetsAConnectionToOutboundThatNobodyRecorded) {
  co_await mesh.Start();
  io::ConnectOptions options{
      .to = {t.b.address.ip, kOutboundPort}, .bind = std::nullopt, .socket = {}};
  auto connected = co_await t.a.host->Connect(mesh.loop(), std::move(options), {});
  CO_ASSERT_TRUE(connected);
  EXPECT_EQ(co_await ReadEnd(**connected), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kNoOriginalDestination);
  co_await mesh.Stop();
}

MESH_TEST(NeverLeadsAPodBackIntoItsOwnListeners) {
  co_await mesh.Start();
  const uint16_t ports[] = {kOutboundPort, kInboundPlaintextPort, kInboundHbonePort};
  for (const uint16_t port : ports) {
    const io::SocketAddress own{t.a.address.ip, port};
    EXPECT_EQ(co_await Outcome(mesh, t.a, own), StreamEnd::kReset);
    EXPECT_EQ(Last(mesh.node(0)).reason, FailureReason::kMeshPort);
  }
  co_await mesh.Stop();
}

MESH_TEST(TurnsAResetOfEitherApplicationIntoAResetOfTheOther) {
  co_await mesh.Start();
  for (const bool client_resets : {true, false}) {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    (client_resets ? ends.client : ends.server)->Reset();
    EXPECT_EQ(co_await ReadEnd(client_resets ? *ends.server : *ends.client), StreamEnd::kReset);
  }
  co_await mesh.Stop();
  for (const auto& logged : mesh.node(1).log.connections)
    EXPECT_EQ(logged.flags, "-") << logged.error;
}

MESH_TEST(GivesTwoPodsOfOneIdentityTheirOwnTunnelsAndAddresses) {
  Mesh::Pod& twin = mesh.AddPod("a2", 0, "a");
  co_await mesh.Start();
  {
    Ends first = co_await Join(mesh, t.a, t.b.address, t.b);
    Ends second = co_await Join(mesh, twin, t.b.address, t.b);
    CO_ASSERT_TRUE(first.complete() && second.complete());
    EXPECT_EQ(first.server->peer().ip, t.a.address.ip);
    EXPECT_EQ(second.server->peer().ip, twin.address.ip);
    co_await mesh.Release(t.a);
    EXPECT_EQ(co_await ReadEnd(*first.client), StreamEnd::kReset);
    EXPECT_EQ(co_await ReadEnd(*first.server), StreamEnd::kReset);
    EXPECT_TRUE(co_await Says(*second.client, *second.server, "mine is untouched"));
  }
  co_await mesh.Stop();
}

MESH_TEST(ReachesWhatIsNotInTheMeshInPlainTcp) {
  Mesh::Pod& outsider = mesh.AddOutsider("out");
  co_await mesh.Start();
  Ends ends = co_await Join(mesh, t.a, outsider.address, outsider);
  CO_ASSERT_TRUE(ends.complete());
  EXPECT_EQ(ends.server->peer().ip, t.a.address.ip);
  EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "hello"));
  ends = {};
  co_await mesh.Stop();
}

MESH_TEST(ReachesAServiceByItsVirtualAddress) {
  t.b.workload.services = {{"default/web.default.svc.cluster.local", {{80, kApplicationPort}}}};
  mesh.world().Add(ServiceOptions{.ports = {{80, kApplicationPort}}});
  co_await mesh.Start();
  Ends ends = co_await Join(mesh, t.a, *io::SocketAddress::Parse("10.96.0.1:80"), t.b);
  CO_ASSERT_TRUE(ends.complete());
  EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "hello"));
  ends = {};
  co_await mesh.Stop();
  EXPECT_EQ(Last(mesh.node(1)).service, "web.default.svc.cluster.local");
  EXPECT_EQ(Last(mesh.node(0)).service, "web.default.svc.cluster.local");
}

Task<void> PublishLater(Mesh& mesh, absl::Duration after) {
  co_await mesh.loop().Sleep(after, {});
  mesh.Publish();
}

MESH_TEST(LetsAConnectionWaitForItsCertificate) {
  co_await mesh.Start();
  mesh.ForgetCertificate(t.a);
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  mesh.IssueCertificate(t.a);
  Scope scope(mesh.loop());
  scope.Spawn(PublishLater(mesh, absl::Seconds(4)));
  Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
  EXPECT_TRUE(ends.complete());
  ends = {};
  co_await scope.Join();
  co_await mesh.Stop();
}

MESH_TEST(ResetsAConnectionWhoseCertificateDoesNotCome) {
  co_await mesh.Start();
  mesh.ForgetCertificate(t.a);
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  const MonotonicTime begin = mesh.loop().Now();
  EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
  EXPECT_LT(mesh.loop().Now() - begin, absl::Seconds(6));
  EXPECT_EQ(Last(mesh.node(0)).flags, "IDENTITY_ERROR");
  co_await mesh.Stop();
}

MESH_TEST(RefusesInboundUntilStateIsThere) {
  mesh.world().builder();  // The state below is never published.
  for (size_t i = 0; i < 2; ++i) {
    auto start = [proxy = mesh.node(i).proxy.get()] { return proxy->Start(); };
    co_await io::RunOn(mesh.loop(), mesh.node(i).control, std::move(start));
  }
  co_await mesh.Capture(t.b);
  io::ConnectOptions options{.to = t.b.address, .bind = std::nullopt, .socket = {}};
  auto connected = co_await t.a.host->Connect(mesh.loop(), std::move(options), {});
  CO_ASSERT_TRUE(connected);
  EXPECT_EQ(co_await ReadEnd(**connected), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kStateTimeout);
  co_await mesh.Stop();
}

MESH_TEST(UsesARotatedCertificateForNewTunnelsAndKeepsOldStreams) {
  co_await mesh.Start();
  {
    Ends old = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(old.complete());
    mesh.IssueCertificate(t.a);
    mesh.Publish();
    co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
    Ends fresh = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(fresh.complete());
    EXPECT_TRUE(co_await Says(*old.client, *old.server, "old"));
    EXPECT_TRUE(co_await Says(*fresh.client, *fresh.server, "fresh"));
  }
  co_await mesh.Stop();
}

MESH_TEST(RefusesAServerOfAnotherIdentityThanItsWorkloads) {
  co_await mesh.Start();
  // Node 1 presents "a" for pod b, whose workload is "b".
  t.b.workload.service_account = "someone-else";
  mesh.world().Add(t.b.workload);
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(0)).reason, FailureReason::kTlsFailed);
  co_await mesh.Stop();
}

Task<void> Flood(io::Stream& stream, size_t& sent, StopToken stop) {
  const std::string block(16 * 1024, 'x');
  while (co_await stream.Write(ToBytes(block), stop)) sent += block.size();
}

MESH_TEST(StopsTheSenderOfAStalledReaderAndLetsOtherStreamsGoOn) {
  co_await mesh.Start();
  {
    Ends stalled = co_await Join(mesh, t.a, t.b.address, t.b);
    Ends other = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(stalled.complete() && other.complete());
    Scope scope(mesh.loop());
    size_t sent = 0;
    scope.Spawn(Flood(*stalled.client, sent, scope.stop()));
    co_await mesh.loop().Sleep(absl::Seconds(30), {});
    const size_t sent_after_a_while = sent;
    EXPECT_LT(sent_after_a_while, 16u << 20);
    EXPECT_TRUE(co_await Says(*other.client, *other.server, "not held up"));
    co_await mesh.loop().Sleep(absl::Seconds(30), {});
    EXPECT_EQ(sent, sent_after_a_while);
    co_await scope.Drain();
  }
  co_await mesh.Stop();
}

MESH_TEST(PassesOnTheResetOfASenderWhoseBytesNobodyReads) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    Scope scope(mesh.loop());
    size_t sent = 0;
    scope.Spawn(Flood(*ends.client, sent, {}));
    co_await mesh.loop().Sleep(absl::Seconds(30), {});
    ends.client->Reset();
    // The bound of a relay, on each node.
    Deadline soon(mesh.loop(), {}, 2 * 3 * kSenderWatchDelay);
    EXPECT_TRUE(co_await ends.server->AwaitBroken(soon.token()));
    co_await scope.Join();
  }
  co_await mesh.Stop();
}

Task<void> CollectConnections(Proxy& proxy, std::vector<ConnectionInfo>& out) {
  out = co_await proxy.Connections();
}

Task<void> CountConnections(Proxy& proxy, std::string uid, size_t& out) {
  out = co_await proxy.CountConnections(std::move(uid));
}

MESH_TEST(CountsTheConnectionsOfAPodWithoutIdleTunnels) {
  co_await mesh.Start();
  {
    std::optional<Ends> ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends->complete());
    std::vector<ConnectionInfo> seen;
    auto ask = [&mesh, &seen] { return CollectConnections(*mesh.node(1).proxy, seen); };
    co_await io::RunOn(mesh.loop(), mesh.node(1).control, std::move(ask));
    CO_ASSERT_TRUE(seen.size() == 1);
    size_t of_b = 0, of_another = 1;
    const auto count = [&](std::string uid, size_t& out) -> absl::AnyInvocable<Task<void>()> {
      return [&mesh, uid, &out] { return CountConnections(*mesh.node(1).proxy, uid, out); };
    };
    co_await io::RunOn(mesh.loop(), mesh.node(1).control, count(seen[0].pod_uid, of_b));
    co_await io::RunOn(mesh.loop(), mesh.node(1).control, count("another", of_another));
    EXPECT_EQ(of_b, 1u);
    EXPECT_EQ(of_another, 0u);
    ends.reset();
    co_await mesh.loop().Sleep(absl::Seconds(5), {});
    co_await io::RunOn(mesh.loop(), mesh.node(1).control, count(seen[0].pod_uid, of_b));
    EXPECT_EQ(of_b, 0u);
    EXPECT_THAT(mesh.node(0).registry.Expose(), HasSubstr("heddle_tunnels 1\n"));
  }
  co_await mesh.Stop();
}

MESH_TEST(TellsOperatorsItsConnections) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    std::vector<ConnectionInfo> inbound;
    auto ask = [&mesh, &inbound] { return CollectConnections(*mesh.node(1).proxy, inbound); };
    co_await io::RunOn(mesh.loop(), mesh.node(1).control, std::move(ask));
    CO_ASSERT_TRUE(inbound.size() == 1);
    EXPECT_EQ(inbound[0].kind, ConnectionKind::kInboundHbone);
    EXPECT_EQ(inbound[0].source_identity, "spiffe://cluster.local/ns/default/sa/a");
    EXPECT_EQ(inbound[0].original_destination, "10.0.0.2:8080");
    EXPECT_EQ(inbound[0].pod_name, "b");
    const std::string metrics = mesh.node(0).registry.Expose();
    EXPECT_THAT(metrics, HasSubstr("heddle_tunnels 1\n"));
    EXPECT_THAT(metrics, HasSubstr("heddle_tunnel_attempts_total 1\n"));
    EXPECT_THAT(metrics, HasSubstr("heddle_connection_places 1\n"));
    EXPECT_THAT(metrics, HasSubstr("heddle_held_bytes_limit 268435456\n"));
    EXPECT_THAT(metrics, HasSubstr("heddle_held_bytes 0\n"));
  }
  co_await mesh.Stop();
}

Task<void> DrainNode(Mesh& mesh, size_t node) {
  auto drain = [proxy = mesh.node(node).proxy.get()] { return proxy->Drain(); };
  co_await io::RunOn(mesh.loop(), mesh.node(node).control, std::move(drain));
}

MESH_TEST(LetsConnectionsFinishWhileItDrains) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    Scope scope(mesh.loop());
    scope.Spawn(DrainNode(mesh, 1));
    co_await mesh.loop().Sleep(absl::Seconds(5), {});
    EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "still served"));
    EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
    co_await mesh.loop().Sleep(absl::Seconds(25), {});
    EXPECT_EQ(co_await ReadEnd(*ends.client), StreamEnd::kReset);
    co_await scope.Join();
    EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kDrained);
  }
  co_await mesh.Stop();
}

// The clients are served by two workers, so that the other node has two tunnels and two streams.
Task<void> ReachLimit(TwoPods& t, Mesh& mesh) {
  co_await mesh.Start();
  {
    Ends first = co_await Join(mesh, t.a, t.b.address, t.b);
    Ends second = co_await Join(mesh, t.a, t.b.address, t.b);
    EXPECT_TRUE(first.complete() && second.complete());
    EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
    EXPECT_TRUE(co_await Says(*first.client, *first.server, "served"));
  }
  co_await mesh.Stop();
}

TEST(Proxy, ServesAtMostItsLimitOfConnections) {
  TwoPods t({.limits = {.connections_max = 4}});
  t.mesh.Run(ReachLimit(t, t.mesh));
}

// What is of slabs for frames of an idle connection, on both nodes together: the outbound relay on one and the
// inbound stream's on the other. Measured: 4.8 KiB in release until it is parked, 7.1 KiB for a tunnel, which
// streams share. Parked, it has no coroutine: on each node the connection itself and a stream with its part of the
// session (the sockets are pipes here, and not of slabs).
constexpr size_t kFrameBytesPerConnection = 7 * 1024;
constexpr size_t kFrameBytesPerTunnel = 12 * 1024;
constexpr size_t kParkedBytesPerConnection = 2 * (416 + 160 + 64);

MESH_TEST(KeepsFewBytesOfCoroutinesForAnIdleConnection) {
  constexpr size_t kConnections = 32;
  co_await mesh.Start();
  {
    const uint64_t before = ThreadFrameStats().live_bytes;
    // The second also has a worker, and so a tunnel, of its own.
    std::vector<Ends> ends;
    for (size_t i = 0; i < 2; ++i) ends.push_back(co_await Join(mesh, t.a, t.b.address, t.b));
    const uint64_t first = ThreadFrameStats().live_bytes;
    for (size_t i = 0; i < kConnections; ++i)
      ends.push_back(co_await Join(mesh, t.a, t.b.address, t.b));
    const uint64_t all = ThreadFrameStats().live_bytes;
    const uint64_t per_connection = (all - first) / kConnections;
    const uint64_t per_tunnel = (first - before) / 2 - per_connection;
    ::testing::Test::RecordProperty("frame_bytes_per_connection", std::to_string(per_connection));
    ::testing::Test::RecordProperty("frame_bytes_per_tunnel", std::to_string(per_tunnel));
    std::printf("per connection %zu, per tunnel %zu bytes of frames\n",
                static_cast<size_t>(per_connection), static_cast<size_t>(per_tunnel));
    EXPECT_LE(per_connection, kFrameBytesPerConnection);
    EXPECT_LE(per_tunnel, kFrameBytesPerTunnel);
    // Once nothing has come for a while, and all bytes that went over it have arrived.
    co_await mesh.loop().Sleep(4 * kParkDelay, {});
    const uint64_t tunnels = 2 * per_tunnel;
    const uint64_t parked = (ThreadFrameStats().live_bytes - before - tunnels) / (kConnections + 2);
    std::printf("parked: %zu bytes for each connection\n", static_cast<size_t>(parked));
    EXPECT_LE(parked, kParkedBytesPerConnection);
    for (size_t node = 0; node < 2; ++node) {
      for (const auto& loop : mesh.node(node).workers)
        EXPECT_EQ(loop->buffers().stats().in_use_bytes, 0u);
    }
  }
  co_await mesh.Stop();
}

// One connection waits for a certificate, the next is told that enough wait already.
Task<void> ReachWaiterLimit(TwoPods& t, Mesh& mesh) {
  co_await mesh.Start();
  mesh.ForgetCertificate(t.a);
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  auto first = co_await mesh.Connect(t.a, t.b.address);
  CO_ASSERT_TRUE(first);
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  const MonotonicTime begin = mesh.loop().Now();
  EXPECT_EQ(co_await Outcome(mesh, t.a, t.b.address), StreamEnd::kReset);
  EXPECT_LT(mesh.loop().Now() - begin, absl::Seconds(1));
  EXPECT_EQ(Last(mesh.node(0)).reason, FailureReason::kWaiterLimit);
  EXPECT_EQ(co_await ReadEnd(**first), StreamEnd::kReset);
  EXPECT_EQ(Last(mesh.node(0)).reason, FailureReason::kCertificateTimeout);
  co_await mesh.Stop();
}

TEST(Proxy, LetsOnlySoManyConnectionsWaitForState) {
  TwoPods t({.limits = {.state_waiters_max = 1}, .workers_per_node = 1});
  t.mesh.Run(ReachWaiterLimit(t, t.mesh));
}

Task<void> ReachHandshakeLimit(TwoPods& t, Mesh& mesh) {
  co_await mesh.Start();
  io::ConnectOptions options{
      .to = {t.b.address.ip, kInboundHbonePort}, .bind = std::nullopt, .socket = {}};
  auto silent = co_await t.a.host->Connect(mesh.loop(), std::move(options), {});
  CO_ASSERT_TRUE(silent);
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  const MonotonicTime begin = mesh.loop().Now();
  Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
  EXPECT_TRUE(ends.complete());
  EXPECT_EQ(co_await ReadEnd(**silent), StreamEnd::kReset);
  EXPECT_LT(mesh.loop().Now() - begin, absl::Seconds(1));
  ends = {};
  co_await mesh.Stop();
}

TEST(Proxy, EndsTheOldestHandshakeForTheNextWhenTooManyAreUnderWay) {
  TwoPods t({.limits = {.handshakes_max = 1}, .workers_per_node = 1});
  t.mesh.Run(ReachHandshakeLimit(t, t.mesh));
}

MESH_TEST(ReleasesAPodWhileItDrains) {
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, t.b.address, t.b);
    CO_ASSERT_TRUE(ends.complete());
    Scope scope(mesh.loop());
    scope.Spawn(DrainNode(mesh, 1));
    co_await mesh.loop().Sleep(absl::Seconds(1), {});
    co_await mesh.Release(t.b);
    EXPECT_EQ(co_await ReadEnd(*ends.client), StreamEnd::kReset);
    co_await scope.Join();
    EXPECT_EQ(Last(mesh.node(1)).reason, FailureReason::kPodReleased);
  }
  co_await mesh.Stop();
}

MESH_TEST(HoldsNothingOfAPodThatIsReleasedWhileOthersDrain) {
  Mesh::Pod& other = mesh.AddPod("other", 1, "other");
  co_await mesh.Start();
  {
    Ends ends = co_await Join(mesh, t.a, other.address, other);
    CO_ASSERT_TRUE(ends.complete());
    Scope scope(mesh.loop());
    scope.Spawn(DrainNode(mesh, 1));
    co_await mesh.loop().Sleep(absl::Seconds(1), {});
    co_await mesh.Release(t.b);
    // Its sockets are its network's, and keep its netns.
    EXPECT_EQ(t.b.network.use_count(), 1) << "and this test's";
    EXPECT_TRUE(co_await Says(*ends.client, *ends.server, "still drains"));
    ends.client->Reset();
    co_await scope.Join();
  }
  co_await mesh.Stop();
}

}  // namespace
}  // namespace heddle::agent::testing
