#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string_view>

#include "agent/proxy/testing/mesh.h"
#include "lib/base/scope.h"
#include "lib/io/testing/co_test.h"

namespace heddle::agent::testing {

// A client's end and the server application's end of one connection through the mesh.
struct Ends {
  std::unique_ptr<io::Connection> client;
  std::unique_ptr<io::Connection> server;
  bool complete() const { return client && server; }
};

inline Task<void> AcceptOne(Mesh& mesh, io::Listener& listener, std::unique_ptr<io::Connection>& out,
                            StopToken stop) {
  auto accepted = co_await listener.Accept(stop);
  if (accepted) out = (*accepted)->Attach(mesh.loop());
}

// Connects and waits until the server's application has accepted, or the client has seen the end.
inline Task<Ends> Join(Mesh& mesh, Mesh::Pod& from, io::SocketAddress to, Mesh::Pod& at) {
  Ends ends;
  const auto listener = mesh.Listen(at);
  Scope scope(mesh.loop());
  scope.Spawn(AcceptOne(mesh, *listener, ends.server, scope.stop()));
  auto connected = co_await mesh.Connect(from, to);
  if (connected) ends.client = *std::move(connected);
  co_await scope.Drain(absl::Seconds(60));
  co_return ends;
}

inline Task<bool> Says(io::Stream& from, io::Stream& to, std::string_view text) {
  auto written = co_await from.Write(ToBytes(text), {});
  if (!written) co_return false;
  co_return co_await ReadAtLeast(to, text.size()) == text;
}

// Two pods on two nodes, each other's clients.
struct TwoPods {
  explicit TwoPods(const MeshOptions& options = {})
      : mesh(options), a(mesh.AddPod("a", 0, "a")), b(mesh.AddPod("b", 1, "b")) {}
  Mesh mesh;
  Mesh::Pod& a;
  Mesh::Pod& b;
};

// A test of a mesh that has run and stopped when it ends: no connection is left.
#define MESH_TEST(name)                                      \
  Task<void> name##_Scenario(TwoPods& t, Mesh& mesh);        \
  TEST(Proxy, name) {                                        \
    TwoPods t;                                               \
    t.mesh.Run(name##_Scenario(t, t.mesh));                  \
    EXPECT_EQ(t.mesh.node(0).proxy->connection_count(), 0u); \
    EXPECT_EQ(t.mesh.node(1).proxy->connection_count(), 0u); \
  }                                                          \
  Task<void> name##_Scenario([[maybe_unused]] TwoPods& t, Mesh& mesh)

// What a client sees that connects to `to`: an end (nobody accepts), or kMoreBytes when nothing
// happens.
inline Task<StreamEnd> Outcome(Mesh& mesh, Mesh::Pod& from, io::SocketAddress to) {
  auto connected = co_await mesh.Connect(from, to);
  if (!connected) co_return StreamEnd::kReset;
  co_return co_await ReadEnd(**connected);
}

inline const LoggedConnection& Last(Mesh::Node& node) { return node.log.connections.back(); }

}  // namespace heddle::agent::testing
