#include "lib/io/testing/fake_network.h"

#include <gtest/gtest.h>

#include "lib/io/testing/backend_test.h"

namespace heddle::io {
namespace {

const IpAddress kClientIp = IpAddress::V4(10, 0, 0, 1);
const IpAddress kServerIp = IpAddress::V4(10, 0, 0, 2);
const SocketAddress kServer = {kServerIp, 80};

// Two hosts; the server accepts on one loop and serves on another.
struct World {
  explicit World(uint64_t seed, const FakeFaults& faults = {})
      : simulation(seed), client_loop(simulation.AddLoop()), accept_loop(simulation.AddLoop()),
        serve_loop(simulation.AddLoop()), network(simulation, faults), client(network.AddHost("client", {kClientIp})),
        server(network.AddHost("server", {kServerIp})) {}
  ConnectOptions To(SocketAddress to) {
    ConnectOptions options;
    options.to = to;
    return options;
  }

  Simulation simulation;
  Loop& client_loop;
  Loop& accept_loop;
  Loop& serve_loop;
  FakeNetwork network;
  FakeHost& client;
  FakeHost& server;
};

Task<void> Echo(std::unique_ptr<Connection> connection) {
  while (true) {
    const auto got = co_await connection->Read(BufferPool::kSmall, {});
    if (!got) co_return;
    if (got->empty()) break;
    if (!co_await connection->Write(got->bytes(), {})) co_return;
  }
  static_cast<void>(co_await connection->ShutdownWrite({}));
}

Task<void> Serve(World& world, Listener& listener, Scope& serving, StopToken stop) {
  while (true) {
    auto accepted = co_await listener.Accept(stop);
    if (!accepted) co_return;
    serving.Spawn(Echo((*accepted)->Attach(world.serve_loop)));
  }
}

Task<void> WriteAll(Connection& connection, const std::string& text, bool& written) {
  written = (co_await connection.Write(BytesOf(text), {})).has_value();
  if (written) written = (co_await connection.ShutdownWrite({})).has_value();
}

struct Exchange {
  std::string text;
  std::string answer;
  bool complete = false;
};

Task<void> Converse(World& world, Exchange& exchange) {
  auto connection = co_await world.client.Connect(world.client_loop, world.To(kServer), {});
  if (!connection) co_return;
  Scope scope(world.client_loop);
  bool written = false;
  scope.Spawn(WriteAll(**connection, exchange.text, written));
  while (true) {
    const auto got = co_await (*connection)->Read(BufferPool::kSmall, {});
    if (!got) break;
    exchange.complete = got->empty();
    if (got->empty()) break;
    exchange.answer.append(got->bytes().begin(), got->bytes().end());
  }
  (*connection)->Reset();
  co_await scope.Join();
}

Task<void> ConverseAll(World& world, std::vector<Exchange>& exchanges) {
  auto listener = world.server.Listen(world.accept_loop, kServer);
  CO_ASSERT_TRUE(listener);
  StopSource stop;
  Scope serving(world.serve_loop);
  Scope accepting(world.accept_loop);
  accepting.Spawn(Serve(world, **listener, serving, stop.token()));
  Scope clients(world.client_loop);
  for (Exchange& exchange : exchanges) clients.Spawn(Converse(world, exchange));
  co_await clients.Join();
  stop.RequestStop();
  co_await accepting.Join();
  co_await serving.Join();
}

std::vector<Exchange> MakeExchanges() {
  std::vector<Exchange> exchanges(5);
  for (size_t i = 0; i < exchanges.size(); ++i) {
    for (size_t k = 0; k < 30000 * i + 10; ++k) exchanges[i].text.push_back(static_cast<char>(k * 31 + i));
  }
  return exchanges;
}

TEST(FakeNetwork, CarriesConversationsBetweenLoops) {
  World world(1);
  auto exchanges = MakeExchanges();
  world.simulation.Run(world.client_loop, ConverseAll(world, exchanges));
  for (const Exchange& exchange : exchanges) {
    EXPECT_TRUE(exchange.complete);
    EXPECT_EQ(exchange.answer, exchange.text);
  }
}

constexpr FakeFaults kAllFaults{.short_read_one_in = 3, .reset_one_in = 60, .refuse_connect_one_in = 10};

TEST(FakeNetwork, NeverDeliversWrongBytesWhateverGoesWrong) {
  size_t complete = 0;
  size_t broken = 0;
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    World world(seed, kAllFaults);
    auto exchanges = MakeExchanges();
    world.simulation.Run(world.client_loop, ConverseAll(world, exchanges));
    for (const Exchange& exchange : exchanges) {
      EXPECT_EQ(exchange.answer, exchange.text.substr(0, exchange.answer.size())) << "seed " << seed;
      if (exchange.complete) EXPECT_EQ(exchange.answer.size(), exchange.text.size()) << "seed " << seed;
      ++(exchange.complete ? complete : broken);
    }
  }
  EXPECT_GT(complete, 50u);
  EXPECT_GT(broken, 50u);
}

std::pair<uint64_t, std::deque<std::string>> TraceOf(uint64_t seed) {
  World world(seed, kAllFaults);
  auto exchanges = MakeExchanges();
  world.simulation.Run(world.client_loop, ConverseAll(world, exchanges));
  return {world.network.trace_hash(), world.network.trace()};
}

TEST(FakeNetwork, GivesOneTraceForOneSeed) {
  const auto first = TraceOf(42);
  const auto again = TraceOf(42);
  EXPECT_GT(first.second.size(), 100u);
  EXPECT_EQ(first.second, again.second);
  EXPECT_EQ(first.first, again.first);
  EXPECT_NE(TraceOf(43).first, first.first);
}

Task<void> FailToConnect(World& world) {
  const auto refused = co_await world.client.Connect(world.client_loop, world.To(kServer), {});
  EXPECT_TRUE(!refused && refused.error().is_errno(ECONNREFUSED));
  const SocketAddress nowhere = {IpAddress::V4(10, 9, 9, 9), 80};
  const auto unreachable = co_await world.client.Connect(world.client_loop, world.To(nowhere), {});
  EXPECT_TRUE(!unreachable && unreachable.error().is_errno(EHOSTUNREACH));
  world.network.Partition(world.client, world.server);
  const auto lost = co_await world.client.Connect(world.client_loop, world.To(kServer), {});
  EXPECT_TRUE(!lost && lost.error().is_errno(ETIMEDOUT));
  Deadline soon(world.client_loop, {}, absl::Seconds(5));
  const auto late = co_await world.client.Connect(world.client_loop, world.To(kServer), soon.token());
  EXPECT_TRUE(!late && late.error().is(IoCode::kDeadline));
}

TEST(FakeNetwork, FailsConnectsAsAKernelDoes) {
  World world(1);
  world.simulation.Run(world.client_loop, FailToConnect(world));
}

Task<void> CrossAPartition(World& world) {
  auto listener = world.server.Listen(world.accept_loop, kServer);
  CO_ASSERT_TRUE(listener);
  ConnectOptions options = world.To(kServer);
  options.bind = SocketAddress{IpAddress::V4(10, 0, 0, 77), 0};
  auto client = co_await world.client.Connect(world.client_loop, std::move(options), {});
  CO_ASSERT_TRUE(client);
  auto accepted = co_await (*listener)->Accept({});
  CO_ASSERT_TRUE(accepted);
  EXPECT_EQ((*accepted)->peer().ip, IpAddress::V4(10, 0, 0, 77));
  auto server = (*accepted)->Attach(world.client_loop);
  world.network.Partition(world.client, world.server);
  EXPECT_TRUE(co_await (*client)->Write(BytesOf("hello"), {}));
  Deadline soon(world.client_loop, {}, absl::Seconds(60));
  const auto nothing = co_await server->Read(BufferPool::kSmall, soon.token());
  EXPECT_TRUE(!nothing && nothing.error().is(IoCode::kDeadline));
  world.network.Heal(world.client, world.server);
  EXPECT_EQ(co_await ReadExactly(*server, 5), "hello");
  (*client)->Reset();
  const auto got = co_await server->Read(BufferPool::kSmall, {});
  EXPECT_TRUE(!got && got.error().is_errno(ECONNRESET));
}

TEST(FakeNetwork, HoldsBytesBackUntilAPartitionHeals) {
  World world(1);
  world.simulation.Run(world.client_loop, CrossAPartition(world));
}

Task<void> WriteToSilence(World& world) {
  auto listener = world.server.Listen(world.accept_loop, kServer);
  CO_ASSERT_TRUE(listener);
  auto client = co_await world.client.Connect(world.client_loop, world.To(kServer), {});
  CO_ASSERT_TRUE(client);
  const std::string much(1 << 20, 'x');
  Deadline soon(world.client_loop, {}, absl::Seconds(60));
  const auto stalled = co_await (*client)->Write(BytesOf(much), soon.token());
  EXPECT_TRUE(!stalled && stalled.error().is(IoCode::kDeadline));
  listener->reset();  // With the connection still in its backlog.
  const auto got = co_await (*client)->Read(BufferPool::kSmall, {});
  EXPECT_TRUE(!got && got.error().is_errno(ECONNRESET));
}

TEST(FakeNetwork, StopsAWriterWithoutReaderAndResetsWhatNobodyAccepted) {
  World world(1);
  world.simulation.Run(world.client_loop, WriteToSilence(world));
}

}  // namespace
}  // namespace heddle::io
