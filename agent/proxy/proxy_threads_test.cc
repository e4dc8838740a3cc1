// The proxy on real threads and sockets: connections change threads before their first byte while
// snapshots are swapped and pods come and go. Runs under ThreadSanitizer too, so it is plain TCP:
// the library behind TLS is not instrumented.

#include <gtest/gtest.h>

#include "agent/model/testing/world.h"
#include "agent/proxy/proxy.h"
#include "agent/telemetry/access_log.h"
#include "lib/io/socket.h"
#include "lib/io/testing/backend_test.h"

namespace heddle::agent::testing {
namespace {

const io::SocketAddress kAnyLoopbackPort{io::IpAddress::V4(127, 0, 0, 1), 0};
const io::SocketAddress kFarAway{io::IpAddress::V4(10, 9, 9, 9), 80};

class NoLog final : public AccessLog {
 public:
  void Write(const ConnectionRecord&) override {}
};

// A pod whose applications all want to go to kFarAway, which is a server on loopback.
class LoopbackPod final : public PodNetwork {
 public:
  LoopbackPod(const std::string& name, io::SocketAddress far_away)
      : pod_{.uid = "uid-" + name,
             .namespace_name = "default",
             .name = name,
             .service_account = "web",
             .trust_domain = "cluster.local",
             .workload_uid = WorkloadOptions{.name = name}.uid(),
             .addresses = {io::IpAddress::V4(10, 0, 0, 1)}},
        far_away_(far_away) {}
  const CapturedPod& pod() const override { return pod_; }
  std::optional<io::SocketAddress> TakeOriginalDestination(const io::SocketAddress&,
                                                           const io::SocketAddress&) override {
    return kFarAway;
  }
  Task<io::Result<std::unique_ptr<io::Connection>>> DialOut(io::Loop& loop, io::SocketAddress,
                                                            StopToken stop) override {
    io::KernelNetwork network;
    io::ConnectOptions options{.to = far_away_, .bind = std::nullopt, .socket = {}};
    co_return co_await network.Connect(loop, std::move(options), stop);
  }
  Task<io::Result<std::unique_ptr<io::Connection>>> DialApplication(io::Loop& loop,
                                                                    io::SocketAddress to,
                                                                    io::IpAddress,
                                                                    StopToken stop) override {
    co_return co_await DialOut(loop, to, stop);
  }

 private:
  const CapturedPod pod_;
  const io::SocketAddress far_away_;
};

class ProxyThreads : public ::testing::Test {
 public:
  static constexpr size_t kWorkers = 3;
  static constexpr size_t kConnections = 60;

  ProxyThreads() : loop(clock, Options()), pool(clock, kWorkers, "worker", Options()), scope(loop) {
    world.Add(WorkloadOptions{.name = "pod"}).Ready();
    std::vector<WorkerPlace> places;
    for (size_t i = 0; i < kWorkers; ++i)
      places.push_back({pool.loop(i), std::make_unique<SeededRandom>(i)});
    proxy = std::make_unique<Proxy>(loop, std::move(places), ProxyOptions{{}, registry, log});
  }
  static io::LoopOptions Options() { return {.backend = io::BackendChoice::kEpoll}; }

  Task<void> Body() {
    far_away = *network.Listen(loop, kAnyLoopbackPort);
    scope.Spawn(EchoAll());
    co_await proxy->Start();
    for (int round = 0; round < 3; ++round) co_await Round();
    co_await proxy->Stop();
    co_await scope.Drain();
  }

  // A pod comes, its applications talk while snapshots change, and it is released in the middle of
  // the rest.
  Task<void> Round() {
    auto pod = std::make_shared<LoopbackPod>("pod", far_away->local());
    auto socket = io::ListenTcp(kAnyLoopbackPort, 128);
    const io::SocketAddress captured = io::LocalAddress(socket->get());
    std::vector<PodListener> listeners;
    listeners.push_back({ListenerRole::kOutbound, [fd = *std::move(socket)](io::Loop& on) mutable {
                           return io::MakeListener(on, std::move(fd));
                         }});
    co_await proxy->PodCaptured(std::move(pod), std::move(listeners));
    Scope clients(loop);
    for (size_t i = 0; i < kConnections; ++i) {
      clients.Spawn(Talk(captured));
      if (i % 10 == 0) Publish();
      co_await loop.Yield();
    }
    while (answered < kConnections / 2) co_await loop.Yield();
    const auto seen = co_await proxy->Connections();
    EXPECT_LE(seen.size(), kConnections);
    co_await proxy->PodReleased("uid-pod");
    co_await clients.Join();
    EXPECT_EQ(proxy->connection_count(), 0u);
    answered = 0;
  }

  void Publish() { proxy->Apply({world.Build(), std::make_shared<Certificates>()}); }

  Task<void> Talk(io::SocketAddress captured) {
    io::ConnectOptions options{.to = captured, .bind = std::nullopt, .socket = {}};
    auto connected = co_await network.Connect(loop, std::move(options), {});
    if (!connected) co_return;
    const std::string text(5000, 'x');
    static_cast<void>(co_await (*connected)->Write(io::BytesOf(text), {}));
    const auto answer = co_await io::ReadExactly(**connected, text.size());
    if (answer && *answer == text) ++answered;
    static_cast<void>(co_await (*connected)->Read(1, {}));  // Until the pod is released.
  }

  Task<void> EchoAll() {
    while (auto accepted = co_await far_away->Accept(scope.stop()))
      scope.Spawn(Echo((*accepted)->Attach(loop)));
  }
  Task<void> Echo(std::unique_ptr<io::Connection> connection) {
    while (true) {
      auto block = co_await connection->Read(io::BufferPool::kSmall, scope.stop());
      if (!block || block->empty()) co_return;
      if (!co_await connection->Write(block->bytes(), scope.stop())) co_return;
    }
  }

  SystemClock clock;
  metrics::Registry registry;
  NoLog log;
  io::Loop loop;
  io::LoopPool pool;
  io::KernelNetwork network;
  World world;
  std::unique_ptr<Proxy> proxy;
  std::unique_ptr<io::Listener> far_away;
  size_t answered = 0;
  Scope scope;
};

TEST_F(ProxyThreads, ServeConnectionsWhileSnapshotsChangeAndPodsGo) { loop.RunUntilDone(Body()); }

}  // namespace
}  // namespace heddle::agent::testing
