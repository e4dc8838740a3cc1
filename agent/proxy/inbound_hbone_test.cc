#include "agent/proxy/inbound_hbone.h"

#include <gmock/gmock.h>

#include "agent/hbone/headers.h"
#include "agent/proxy/testing/mesh.h"
#include "lib/http/h2_connection.h"
#include "lib/io/testing/co_test.h"
#include "lib/tls/stream.h"

namespace heddle::agent::testing {
namespace {

// A peer that speaks HBONE by hand to a pod "b" on a node; it comes from the host of pod "a" with
// a's certificate.
struct Peer {
  Peer() : a(mesh.AddPod("a", 0, "a")), b(mesh.AddPod("b", 1, "b")) {}

  Task<std::unique_ptr<io::Connection>> Dial() {
    io::ConnectOptions options{
        .to = {b.address.ip, kInboundHbonePort}, .bind = std::nullopt, .socket = {}};
    auto connected = co_await a.host->Connect(mesh.loop(), std::move(options), {});
    co_return connected ? *std::move(connected) : nullptr;
  }
  Task<std::unique_ptr<tls::TlsStream>> Secure(std::shared_ptr<const tls::TlsContext> context) {
    auto transport = co_await Dial();
    auto secure = std::make_unique<tls::TlsStream>(mesh.loop(), std::move(transport),
                                                   std::move(context), tls::Role::kClient,
                                                   tls::OneOfIdentities{{mesh.IdentityOf(b)}});
    const auto agreed = co_await secure->Handshake({});
    co_return agreed ? std::move(secure) : nullptr;
  }
  const std::optional<FailureReason>& last_reason() {
    return mesh.node(1).log.connections.back().reason;
  }

  Mesh mesh;
  Mesh::Pod& a;
  Mesh::Pod& b;
};

// The status of one request; 0 when there is none.
Task<int> Status(http::H2ClientConnection& session, http::Headers request) {
  auto stream = co_await session.Request(std::move(request), false, {});
  co_return stream ? (*stream)->headers().status() : 0;
}

http::Headers Connect(std::string authority) {
  return {{":method", "CONNECT"}, {":authority", std::move(authority)}};
}

Task<void> AnswersEachRequestByTheTable(Peer& t) {
  t.b.workload.services = {{"default/web.default.svc.cluster.local", {{80, kApplicationPort}}}};
  t.mesh.world().Add(ServiceOptions{.ports = {{80, kApplicationPort}}});
  co_await t.mesh.Start();
  const auto listener = t.mesh.Listen(t.b);
  const struct {
    std::string authority;
    int want;
  } cases[] = {
      {"10.0.0.2:8080", 200},
      {"web.default.svc.cluster.local:80", 200},
      {"10.0.0.2:9", 503},     // The application's host refuses.
      {"10.0.0.1:8080", 400},  // Another pod.
      {"127.0.0.1:8080", 400},
      {"[::1]:8080", 400},
      {"10.0.0.2:15001", 503},
      {"10.0.0.2:15006", 503},
      {"10.0.0.2:15008", 503},
      {"web.default.svc.cluster.local:81", 503},
      {"other.default.svc.cluster.local:80", 503},
      {"10.0.0.2", 400},
      {"10.0.0.2:0", 400},
      {"user@10.0.0.2:8080", 400},
  };
  {
    auto secure = co_await t.Secure(t.mesh.ContextOf(t.a));
    CO_ASSERT_TRUE(secure);
    http::H2ClientConnection session(t.mesh.loop(), std::move(secure));
    Scope scope(t.mesh.loop());
    scope.Spawn(session.Run({}));
    for (const auto& c : cases)
      EXPECT_EQ(co_await Status(session, Connect(c.authority)), c.want) << c.authority;
    const http::Headers get{
        {":method", "GET"}, {":scheme", "https"}, {":path", "/"}, {":authority", "10.0.0.2:8080"}};
    EXPECT_EQ(co_await Status(session, get), 400);
    session.Close(http::ErrorCode::kNoError, "");
    co_await scope.Join();
  }
  co_await t.mesh.Stop();
}

TEST(InboundHbone, AnswersEachRequestByTheTable) {
  Peer t;
  t.mesh.Run(AnswersEachRequestByTheTable(t));
}

// A 200 says who the destination is, a refusal does not.
Task<void> NamesTheDestinationInItsAnswer(Peer& t) {
  co_await t.mesh.Start();
  const auto listener = t.mesh.Listen(t.b);
  {
    auto secure = co_await t.Secure(t.mesh.ContextOf(t.a));
    CO_ASSERT_TRUE(secure);
    http::H2ClientConnection session(t.mesh.loop(), std::move(secure));
    Scope scope(t.mesh.loop());
    scope.Spawn(session.Run({}));
    {
      auto served = co_await session.Request(Connect("10.0.0.2:8080"), false, {});
      auto refused = co_await session.Request(Connect("10.0.0.2:9"), false, {});
      CO_ASSERT_TRUE(served && refused);
      const WorkloadRef own = t.mesh.world().Build()->FindWorkload(WorkloadUid(t.b.workload.uid()));
      EXPECT_EQ((*served)->headers().Get("baggage"), EncodeBaggage(BaggageOf(*own)));
      EXPECT_THAT(std::string((*served)->headers().Get("baggage")),
                  ::testing::HasSubstr("k8s.namespace.name=default"));
      EXPECT_EQ((*refused)->headers().Find("baggage"), nullptr);
    }
    session.Close(http::ErrorCode::kNoError, "");
    co_await scope.Join();
  }
  co_await t.mesh.Stop();
}

TEST(InboundHbone, NamesTheDestinationInItsAnswer) {
  Peer t;
  t.mesh.Run(NamesTheDestinationInItsAnswer(t));
}

Task<void> DrainServer(Peer& t) {
  auto drain = [proxy = t.mesh.node(1).proxy.get()] { return proxy->Drain(); };
  co_await io::RunOn(t.mesh.loop(), t.mesh.node(1).control, std::move(drain));
}

Task<void> RefusesStreamsThatCrossTheDrainNotice(Peer& t) {
  co_await t.mesh.Start();
  const auto listener = t.mesh.Listen(t.b);
  {
    auto secure = co_await t.Secure(t.mesh.ContextOf(t.a));
    CO_ASSERT_TRUE(secure);
    http::H2ClientConnection session(t.mesh.loop(), std::move(secure));
    Scope scope(t.mesh.loop());
    scope.Spawn(session.Run({}));
    {
      auto kept = co_await session.Request(Connect("10.0.0.2:8080"), false, {});
      CO_ASSERT_TRUE(kept && (*kept)->headers().status() == 200);
      scope.Spawn(DrainServer(t));
      auto late = session.Open(Connect("10.0.0.2:8080"));  // Before the notice has arrived.
      CO_ASSERT_TRUE(late);
      Deadline soon(t.mesh.loop(), {}, absl::Seconds(1));
      const auto answer = co_await (*late)->Response(soon.token());
      CO_ASSERT_TRUE(!answer);
      EXPECT_TRUE(http::IsRetryable(answer.error())) << answer.error().ToString();
      EXPECT_TRUE(co_await (*kept)->Write(ToBytes("still served"), {}));
    }
    co_await scope.Join();
  }
  co_await t.mesh.Stop();
}

TEST(InboundHbone, RefusesStreamsThatCrossTheDrainNotice) {
  Peer t;
  t.mesh.Run(RefusesStreamsThatCrossTheDrainNotice(t));
}

Task<void> DeniesWith401(Peer& t) {
  t.mesh.world().AddPolicy(R"(name: "none" namespace: "default" scope: NAMESPACE action: ALLOW)");
  co_await t.mesh.Start();
  {
    auto secure = co_await t.Secure(t.mesh.ContextOf(t.a));
    CO_ASSERT_TRUE(secure);
    http::H2ClientConnection session(t.mesh.loop(), std::move(secure));
    Scope scope(t.mesh.loop());
    scope.Spawn(session.Run({}));
    EXPECT_EQ(co_await Status(session, Connect("10.0.0.2:8080")), 401);
    session.Close(http::ErrorCode::kNoError, "");
    co_await scope.Join();
  }
  co_await t.mesh.Stop();
}

TEST(InboundHbone, DeniesWith401) {
  Peer t;
  t.mesh.Run(DeniesWith401(t));
}

// The connection ends and nothing else does: afterwards an honest peer is served.
Task<void> IsServed(Peer& t) {
  const auto listener = t.mesh.Listen(t.b);
  auto connected = co_await t.mesh.Connect(t.a, t.b.address);
  CO_ASSERT_TRUE(connected);
  auto accepted = co_await listener->Accept({});
  EXPECT_TRUE(accepted);
  (*connected)->Reset();
}

Task<void> EndsHostilePeersOnly(Peer& t) {
  co_await t.mesh.Start();
  const std::string inputs[] = {
      "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
      std::string(100'000, '\xff'),
      std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11),
      "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  };
  for (const std::string& input : inputs) {
    auto raw = co_await t.Dial();
    static_cast<void>(co_await raw->Write(ToBytes(input), {}));
    static_cast<void>(co_await raw->ShutdownWrite({}));
    while (true) {  // An alert may come before the end.
      auto block = co_await raw->Read(4096, {});
      if (!block || block->empty()) break;
    }
    co_await t.mesh.loop().Sleep(absl::Seconds(1), {});
    EXPECT_EQ(t.last_reason(), FailureReason::kTlsFailed);
  }
  co_await IsServed(t);
  co_await t.mesh.Stop();
}

TEST(InboundHbone, EndsHostilePeersOnly) {
  Peer t;
  t.mesh.Run(EndsHostilePeersOnly(t));
}

Task<void> RefusesPeer(Peer& t, std::shared_ptr<const tls::TlsContext> context) {
  co_await t.mesh.Start();
  auto secure = co_await t.Secure(std::move(context));
  if (secure) {  // TLS 1.3 tells a client after its handshake.
    EXPECT_EQ(co_await ReadEnd(*secure), StreamEnd::kReset);
  }
  EXPECT_EQ(t.last_reason(), FailureReason::kTlsFailed);
  co_await IsServed(t);
  co_await t.mesh.Stop();
}

TEST(InboundHbone, RefusesACertificateFromAnotherRoot) {
  Peer t;
  const tls::TestAuthority other(t.mesh.simulation().clock(), "another root");
  const auto credential = other.Issue(t.mesh.IdentityOf(t.a));
  t.mesh.Run(RefusesPeer(
      t, t.mesh.authority().ContextWith(
             {.credential = credential, .roots = t.mesh.authority().roots(), .alpn = {"h2"}})));
}

TEST(InboundHbone, RefusesAnotherTrustDomain) {
  Peer t;
  const tls::TestAuthority& authority = t.mesh.authority();
  t.mesh.Run(RefusesPeer(
      t, authority.Context(authority.Issue(tls::MakeId("default", "a", "elsewhere.example")))));
}

Task<void> DropsAPeerThatSaysNothing(Peer& t) {
  co_await t.mesh.Start();
  auto raw = co_await t.Dial();
  const MonotonicTime begin = t.mesh.loop().Now();
  EXPECT_EQ(co_await ReadEnd(*raw), StreamEnd::kReset);
  EXPECT_LT(t.mesh.loop().Now() - begin, absl::Seconds(11));
  EXPECT_EQ(t.last_reason(), FailureReason::kTlsTimeout);
  co_await t.mesh.Stop();
}

TEST(InboundHbone, DropsAPeerThatSaysNothing) {
  Peer t;
  t.mesh.Run(DropsAPeerThatSaysNothing(t));
}

Task<void> ServeOneWhileAnotherWaitsForItsCertificate(Mesh& mesh) {
  Mesh::Pod& client = mesh.AddPod("client", 0, "client");
  Mesh::Pod& waiting = mesh.AddPod("waiting", 1, "waiting");
  Mesh::Pod& served = mesh.AddPod("served", 1, "served");
  co_await mesh.Start();
  mesh.ForgetCertificate(waiting);
  mesh.Publish();
  co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
  {
    io::ConnectOptions options{
        .to = {waiting.address.ip, kInboundHbonePort}, .bind = std::nullopt, .socket = {}};
    const auto waits = co_await client.host->Connect(mesh.loop(), std::move(options), {});
    CO_ASSERT_TRUE(waits);
    co_await mesh.loop().Sleep(absl::Milliseconds(100), {});
    const auto listener = mesh.Listen(served);
    const auto connected = co_await mesh.Connect(client, served.address);
    Deadline patience(mesh.loop(), {}, absl::Seconds(2));
    EXPECT_TRUE(co_await listener->Accept(patience.token()));
  }
  co_await mesh.Stop();
}

Task<void> ServeOneBesideASilentPeer(Mesh& mesh) {
  Mesh::Pod& silent = mesh.AddPod("silent", 0, "silent");
  Mesh::Pod& client = mesh.AddPod("client", 0, "client");
  Mesh::Pod& served = mesh.AddPod("served", 1, "served");
  co_await mesh.Start();
  {
    std::vector<std::unique_ptr<io::Connection>> connections;
    for (int i = 0; i < 8; ++i) {
      io::ConnectOptions options{
          .to = {served.address.ip, kInboundHbonePort}, .bind = std::nullopt, .socket = {}};
      auto connected = co_await silent.host->Connect(mesh.loop(), std::move(options), {});
      CO_ASSERT_TRUE(connected);
      connections.push_back(*std::move(connected));
    }
    // Of those above its share none displaces another.
    EXPECT_EQ(co_await ReadEnd(*connections.back()), StreamEnd::kReset);
    const auto listener = mesh.Listen(served);
    const auto connected = co_await mesh.Connect(client, served.address);
    Deadline patience(mesh.loop(), {}, absl::Seconds(2));
    EXPECT_TRUE(co_await listener->Accept(patience.token()));
    EXPECT_THAT(mesh.node(1).registry.Expose(),
                ::testing::HasSubstr("{reason=\"source_handshake_limit\"} 6"));
  }
  co_await mesh.Stop();
}

TEST(InboundHbone, ASilentPeerKeepsNobodyElseOut) {
  Mesh mesh({.limits = {.handshakes_max = 4, .handshakes_per_source_max = 2},
             .workers_per_node = 1});
  mesh.Run(ServeOneBesideASilentPeer(mesh));
}

TEST(InboundHbone, AWaitForACertificateTakesNoHandshakeFromOthers) {
  Mesh mesh({.limits = {.handshakes_max = 1}, .workers_per_node = 1});
  mesh.Run(ServeOneWhileAnotherWaitsForItsCertificate(mesh));
}

}  // namespace
}  // namespace heddle::agent::testing
