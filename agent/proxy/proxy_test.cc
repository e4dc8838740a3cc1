#include "agent/proxy/proxy.h"

#include <gmock/gmock.h>

#include "agent/proxy/testing/mesh.h"
#include "lib/io/testing/co_test.h"

namespace heddle::agent::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

// A client's end and the server application's end of one connection through the mesh.
struct Ends {
  std::unique_ptr<io::Connection> client;
  std::unique_ptr<io::Connection> server;
  bool complete() const { return client && server; }
};

Task<void> AcceptOne(Mesh& mesh, io::Listener& listener, std::unique_ptr<io::Connection>& out,
                     StopToken stop) {
  auto accepted = co_await listener.Accept(stop);
  if (accepted) out = (*accepted)->Attach(mesh.loop());
}

// Connects and waits until the server's application has accepted, or the client has seen the end.
Task<Ends> Join(Mesh& mesh, Mesh::Pod& from, io::SocketAddress to, Mesh::Pod& at) {
  Ends ends;
  const auto listener = mesh.Listen(at);
  Scope scope(mesh.loop());
  scope.Spawn(AcceptOne(mesh, *listener, ends.server, scope.stop()));
  auto connected = co_await mesh.Connect(from, to);
  if (connected) ends.client = *std::move(connected);
  co_await scope.Drain(absl::Seconds(60));
  co_return ends;
}

Task<bool> Says(io::Stream& from, io::Stream& to, std::string_view text) {
  auto written = co_await from.Write(ToBytes(text), {});
  if (!written) co_return false;
  co_return co_await ReadExactly(to, text.size()) == text;
}

// Two pods on two nodes, each other's clients.
struct TwoPods {
  explicit TwoPods(const MeshOptions& options = {})
      : mesh(options), a(mesh.AddPod("a", 0, "a")), b(mesh.AddPod("b", 1, "b")) {}
  Mesh mesh;
  Mesh::Pod& a;
  Mesh::Pod& b;
};

#define MESH_TEST(name)                                      \
  Task<void> name##_Scenario(TwoPods& t, Mesh& mesh);        \
  TEST(Proxy, name) {                                        \
    TwoPods t;                                               \
    t.mesh.Run(name##_Scenario(t, t.mesh));                  \
    EXPECT_EQ(t.mesh.node(0).proxy->connection_count(), 0u); \
    EXPECT_EQ(t.mesh.node(1).proxy->connection_count(), 0u); \
  }                                                          \
  Task<void> name##_Scenario([[maybe_unused]] TwoPods& t, Mesh& mesh)

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

}  // namespace
}  // namespace heddle::agent::testing
