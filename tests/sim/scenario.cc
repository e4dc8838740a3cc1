#include "tests/sim/scenario.h"

#include <absl/strings/str_cat.h>

#include <cstring>

namespace heddle::sim {

using agent::testing::kApplicationPort;
using agent::testing::Mesh;

namespace {

constexpr size_t kExchanges = 24;
const auto kServiceAddress = io::SocketAddress{io::IpAddress::V4(10, 96, 0, 1), 80};
const auto kNowhere = io::SocketAddress{io::IpAddress::V4(10, 9, 9, 9), 80};
constexpr std::string_view kService = "default/web.default.svc.cluster.local";
constexpr std::string_view kDenyPolicy =
    R"(name: "no-a" namespace: "default" scope: NAMESPACE action: DENY
       rules { clauses { matches { principals { exact: "cluster.local/ns/default/sa/a" } } } })";

}  // namespace

Tally& Tally::operator+=(const Tally& other) {
  exchanges += other.exchanges;
  complete += other.complete;
  bytes += other.bytes;
  changes += other.changes;
  return *this;
}

agent::testing::MeshOptions Scenario::OptionsFor(uint64_t seed) {
  SeededRandom random(seed);
  agent::testing::MeshOptions options{.seed = seed};
  if (!random.OneIn(4)) options.faults.short_read_one_in = 1 + random.Below(8);
  if (random.OneIn(2)) options.faults.reset_one_in = 200 + random.Below(5000);
  if (random.OneIn(2)) options.faults.refuse_connect_one_in = 5 + random.Below(50);
  if (random.OneIn(4)) options.limits.tunnel_streams_max = 2;
  if (random.OneIn(8)) options.limits.connections_max = 8;
  return options;
}

Scenario::Scenario(uint64_t seed)
    : mesh_(OptionsFor(seed)),
      random_(mesh_.simulation().random()),
      stop_in_the_middle_(seed % 4 == 0),
      servers_(mesh_.loop()),
      clients_(mesh_.loop()),
      disturbance_(mesh_.loop()) {
  // a and a2 have one identity; b and d back the service.
  mesh_.AddPod("a", 0, "a");
  mesh_.AddPod("a2", 0, "a");
  Mesh::Pod& b = mesh_.AddPod("b", 1, "b");
  Mesh::Pod& d = mesh_.AddPod("d", 1, "d");
  outsider_ = mesh_.pod_count();
  mesh_.AddOutsider("out");
  for (Mesh::Pod* pod : {&b, &d})
    pod->workload.services = {{std::string(kService), {{80, kApplicationPort}}}};
  mesh_.world().Add(agent::testing::ServiceOptions{.ports = {{80, kApplicationPort}}});
  MakeExchanges();
}

void Scenario::MakeExchanges() {
  for (size_t i = 0; i < kExchanges; ++i) {
    auto exchange = std::make_unique<Exchange>();
    exchange->id = random_.Next();
    exchange->client_pod = random_.Below(mesh_.pod_count());
    exchange->client_script = RandomScript(random_);
    exchange->server_script = RandomScript(random_);
    destinations_[exchange.get()] = ChooseDestination(*exchange);
    by_id_[exchange->id] = exchange.get();
    exchanges_.push_back(std::move(exchange));
  }
}

io::SocketAddress Scenario::ChooseDestination(Exchange& exchange) {
  if (random_.OneIn(20)) return kNowhere;
  if (exchange.client_pod != outsider_ && random_.OneIn(4)) {
    exchange.server_pods = {2, 3};
    return kServiceAddress;
  }
  size_t server = random_.Below(mesh_.pod_count());
  // A pod's own address never reaches the proxy.
  if (server == exchange.client_pod) server = (server + 1) % mesh_.pod_count();
  exchange.server_pods = {server};
  return mesh_.pod(server).address;
}

void Scenario::Run() {
  mesh_.Run(Play());
  Check();
}

Task<void> Scenario::Play() {
  co_await mesh_.Start();
  for (size_t pod = 0; pod < mesh_.pod_count(); ++pod) servers_.Spawn(Serve(pod));
  for (auto& exchange : exchanges_) {
    clients_.Spawn(Connect(*exchange, absl::Milliseconds(random_.Below(3000))));
  }
  disturbance_.Spawn(Disturb());
  if (stop_in_the_middle_) {
    co_await mesh_.loop().Sleep(absl::Milliseconds(random_.Below(3000)), {});
  } else {
    co_await clients_.Join();
  }
  disturbing_.RequestStop();
  co_await disturbance_.Join();
  co_await mesh_.Stop();
  co_await clients_.Join();
  serving_.RequestStop();
  co_await servers_.Join();
}

Task<void> Scenario::Serve(size_t pod) {
  const auto listener = mesh_.Listen(mesh_.pod(pod));
  while (true) {
    auto accepted = co_await listener->Accept(serving_.token());
    if (!accepted) co_return;
    servers_.Spawn(ServeOne(pod, *std::move(accepted)));
  }
}

Task<void> Scenario::ServeOne(size_t pod, std::unique_ptr<io::AcceptedConnection> accepted) {
  const auto connection = accepted->Attach(mesh_.loop());
  std::string id = co_await agent::testing::ReadAtLeast(*connection, kIdBytes);
  if (id.size() < kIdBytes) {
    connection->Reset();
    co_return;
  }
  uint64_t number = 0;
  std::memcpy(&number, id.data(), kIdBytes);
  const auto found = by_id_.find(number);
  if (found == by_id_.end()) co_return Violated("a server read an id that nobody sent");
  Exchange& exchange = *found->second;
  const auto& allowed = exchange.server_pods;
  if (std::find(allowed.begin(), allowed.end(), pod) == allowed.end()) {
    Violated(absl::StrCat("exchange ", number, " reached pod ", pod));
  }
  if (connection->peer().ip != mesh_.pod(exchange.client_pod).address.ip) {
    Violated(absl::StrCat("exchange ", number, ": the server saw ", connection->peer().ToString()));
  }
  if (std::exchange(exchange.accepted, true))
    Violated(absl::StrCat("exchange ", number, " arrived twice"));
  co_await PlayServer(mesh_.loop(), *connection, exchange, id.substr(kIdBytes));
}

Task<void> Scenario::Connect(Exchange& exchange, absl::Duration after) {
  co_await mesh_.loop().Sleep(after, {});
  auto connected =
      co_await mesh_.Connect(mesh_.pod(exchange.client_pod), destinations_.at(&exchange));
  if (!connected) co_return;
  exchange.connected = true;
  const auto connection = *std::move(connected);
  co_await PlayClient(mesh_.loop(), *connection, exchange);
}

Task<void> Scenario::Disturb() {
  while (co_await mesh_.loop().Sleep(absl::Milliseconds(50 + random_.Below(2000)),
                                     disturbing_.token())) {
    ++tally_.changes;
    co_await ChangeOne();
  }
}

Task<void> Scenario::ChangeOne() {
  switch (random_.Below(6)) {
    case 0: ChangePolicy(); break;
    case 1:
      mesh_.IssueCertificate(mesh_.pod(random_.Below(outsider_)));
      mesh_.Publish();
      break;
    case 2: co_await Partition(); break;
    case 3: co_await Recapture(random_.Below(outsider_)); break;
    default: mesh_.Publish();
  }
}

void Scenario::ChangePolicy() {
  if (denying_) {
    mesh_.world().builder().RemovePolicy("default/no-a");
  } else {
    mesh_.world().AddPolicy(kDenyPolicy);
  }
  denying_ = !denying_;
  mesh_.Publish();
}

Task<void> Scenario::Partition() {
  io::FakeHost& one = *mesh_.pod(random_.Below(2)).host;
  io::FakeHost& other = *mesh_.pod(2 + random_.Below(2)).host;
  mesh_.network().Partition(one, other);
  co_await mesh_.loop().Sleep(absl::Milliseconds(random_.Below(40'000)), disturbing_.token());
  mesh_.network().Heal(one, other);
}

Task<void> Scenario::Recapture(size_t pod) {
  co_await mesh_.Release(mesh_.pod(pod));
  co_await mesh_.loop().Sleep(absl::Milliseconds(random_.Below(500)), disturbing_.token());
  co_await mesh_.Capture(mesh_.pod(pod));
}

void Scenario::Check() {
  for (const auto& exchange : exchanges_) {
    ++tally_.exchanges;
    tally_.complete +=
        exchange->client.sent_all && exchange->client.read_end && exchange->server.sent_all;
    tally_.bytes += exchange->client.received + exchange->server.received;
    std::string violation = Violation(*exchange);
    if (!violation.empty()) Violated(std::move(violation));
  }
  for (size_t i = 0; i < 2; ++i) {
    const Mesh::Node& node = mesh_.node(i);
    if (node.proxy->connection_count() != 0) Violated("the proxy still counts connections");
    for (const io::Loop* worker : node.workers) {
      if (const_cast<io::Loop*>(worker)->buffers().stats().in_use_bytes != 0)
        Violated("a worker still holds buffers");
    }
    CheckLog(node);
  }
}

// A verified identity is that of the pod whose address the connection came from, and of no other.
void Scenario::CheckLog(const Mesh::Node& node) {
  for (const auto& logged : node.log.connections) {
    if (logged.direction != agent::Direction::kInbound || logged.source_identity.empty()) continue;
    bool belongs = false;
    for (size_t i = 0; i < outsider_; ++i) {
      const Mesh::Pod& pod = mesh_.pod(i);
      belongs |= logged.source.starts_with(pod.address.ip.ToString() + ":") &&
                 logged.source_identity == mesh_.IdentityOf(pod).ToString();
    }
    if (!belongs) Violated(absl::StrCat(logged.source, " was taken for ", logged.source_identity));
  }
}

}  // namespace heddle::sim
