// TCP and TLS to an API server, over a simulated network.

#include "lib/kube/connector.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"
#include "lib/io/testing/fake_network.h"
#include "lib/io/testing/simulation.h"
#include "lib/tls/stream.h"
#include "lib/tls/testing/authority.h"

namespace heddle::kube {
namespace {

using testing::HasSubstr;
using Type = tls::SubjectAltName::Type;

const io::SocketAddress kServer = {io::IpAddress::V4(10, 0, 0, 2), 6443};

// A server that takes connections of clients with a certificate of its authority, and the places
// where a client finds its own material.
struct World {
  explicit World(std::vector<tls::SubjectAltName> names)
      : loop(simulation.AddLoop()),
        network(simulation),
        client(network.AddHost("client", {io::IpAddress::V4(10, 0, 0, 1)})),
        server(network.AddHost("server", {kServer.ip})),
        authority(simulation.clock()),
        scope(loop) {
    const tls::PrivateKey key = tls::PrivateKey::Generate();
    tls::Credential credential{{authority.Sign(authority.LeafTemplate(key, std::move(names)))},
                               key};
    context = authority.Context(std::move(credential));
    const tls::Credential mine = authority.Issue(tls::MakeId("heddle-system", "controller"));
    files.Write("ca.crt", tls::ToPem(authority.roots()->certificates()));
    files.Write("client.crt", tls::ToPem(mine.chain));
    files.Write("client.key", mine.key.ToPem());
    access = {.host = kServer.ip.ToString(),
              .port = kServer.port,
              .server_name = kServer.ip.ToString(),
              .roots = {.file = files / "ca.crt"},
              .client_certificate = {.file = files / "client.crt"},
              .client_key = {.file = files / "client.key"}};
  }

  Task<void> Serve() {
    auto listener = server.Listen(loop, kServer);
    CHECK(listener.has_value());
    while (auto accepted = co_await (*listener)->Accept(scope.stop())) {
      tls::TlsStream stream(loop, (*accepted)->Attach(loop), context, tls::Role::kServer,
                            tls::AnyInTrustDomain{"cluster.local"});
      if (!co_await stream.Handshake(scope.stop())) continue;
      ++handshakes;
      (void)co_await stream.Read(1, scope.stop());
    }
  }
  Task<void> ConnectAll(std::vector<ClusterAccess> accesses) {
    scope.Spawn(Serve());
    for (ClusterAccess& one : accesses) {
      Connector connect = MakeConnector(loop, client, simulation.clock(), std::move(one));
      auto stream = co_await connect({});
      results.push_back(stream.ok() ? "connected" : std::string(stream.status().message()));
    }
    co_await scope.Drain();
  }
  std::vector<std::string> Connect(std::vector<ClusterAccess> accesses) {
    results.clear();
    simulation.Run(loop, ConnectAll(std::move(accesses)));
    return results;
  }

  io::Simulation simulation{1};
  io::Loop& loop;
  io::FakeNetwork network;
  io::FakeHost& client;
  io::FakeHost& server;
  tls::TestAuthority authority;
  std::shared_ptr<const tls::TlsContext> context;
  TemporaryDirectory files;
  ClusterAccess access;
  std::vector<std::string> results;
  int handshakes = 0;
  Scope scope;
};

TEST(Connector, KnowsTheServerByItsAddressOrByTheNameThatIsConfigured) {
  World world({{Type::kIp, "10.0.0.2"}, {Type::kDns, "kubernetes.default"}});
  ClusterAccess by_name = world.access;
  by_name.server_name = "kubernetes.default";
  ClusterAccess wrong_name = world.access;
  wrong_name.server_name = "other.default";
  ClusterAccess wrong_address = world.access;
  wrong_address.server_name = "10.0.0.3";
  EXPECT_THAT(world.Connect({world.access, by_name, wrong_name, wrong_address}),
              testing::ElementsAre("connected", "connected", HasSubstr("not for other.default"),
                                   HasSubstr("not for the address 10.0.0.3")));
  EXPECT_EQ(world.handshakes, 2);
}

TEST(Connector, SaysWhichMaterialIsUnusable) {
  World world({{Type::kIp, "10.0.0.2"}});
  std::vector<ClusterAccess> cases(5, world.access);
  cases[0].roots = {.data = "no roots"};
  cases[1].client_certificate = {.file = world.files / "none"};
  cases[2].client_key = {.data = "no key"};
  cases[3].client_key = {.data = tls::PrivateKey::Generate().ToPem()};
  cases[4].port = 1;
  EXPECT_THAT(world.Connect(cases),
              testing::ElementsAre(
                  HasSubstr("the server's roots: "), HasSubstr("the client certificate: "),
                  HasSubstr("the client key: "), HasSubstr("private key"), HasSubstr("refused")));
}

TEST(Connector, ReadsItsFilesAtEachConnect) {
  World world({{Type::kIp, "10.0.0.2"}});
  const tls::TestAuthority other(world.simulation.clock(), "other root");
  const std::string right = world.files.Read("ca.crt");
  world.files.Replace("ca.crt", tls::ToPem(other.roots()->certificates()));
  Connector connect =
      MakeConnector(world.loop, world.client, world.simulation.clock(), world.access);
  struct Body {
    static Task<void> Run(World& world, Connector& connect, std::string right) {
      world.scope.Spawn(world.Serve());
      const auto before = co_await connect({});
      EXPECT_THAT(std::string(before.status().message()), HasSubstr("no trusted issuer"));
      world.files.Replace("ca.crt", right);
      EXPECT_TRUE((co_await connect({})).ok());
      co_await world.scope.Drain();
    }
  };
  world.simulation.Run(world.loop, Body::Run(world, connect, right));
}

}  // namespace
}  // namespace heddle::kube
