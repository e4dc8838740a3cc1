#include "agent/hbone/tunnel_pool.h"

#include <gtest/gtest.h>

#include "agent/hbone/connect_request.h"
#include "lib/http/receive_budget.h"
#include "lib/io/testing/co_test.h"
#include "lib/io/testing/fake_network.h"
#include "lib/io/testing/simulation.h"
#include "lib/tls/testing/authority.h"

namespace heddle::agent {
namespace {

const io::SocketAddress kNextHop{io::IpAddress::V4(10, 0, 0, 2), kInboundHbonePort};

// A transport as a test wants it.
struct Tricks {
  bool bad_record = false;        // Bytes that are no TLS record leave with what is written first.
  bool only_first_write = false;  // What is written later gets lost, at once.
};
class TrickyConnection final : public io::Connection {
 public:
  TrickyConnection(std::unique_ptr<io::Connection> transport, Tricks tricks)
      : transport_(std::move(transport)), tricks_(tricks) {}
  Task<io::Result<io::Buffer>> Read(size_t size_hint, StopToken stop) override {
    return transport_->Read(size_hint, std::move(stop));
  }
  Task<io::Result<void>> Write(std::span<const uint8_t> data, StopToken stop) override {
    const bool first = !std::exchange(has_written_, true);
    if (tricks_.only_first_write && !first) co_return io::Result<void>();
    std::vector<uint8_t> bytes(data.begin(), data.end());
    if (tricks_.bad_record && first) bytes.insert(bytes.end(), 64, uint8_t{0xff});
    co_return co_await transport_->Write(bytes, stop);
  }
  Task<io::Result<void>> ShutdownWrite(StopToken stop) override {
    return transport_->ShutdownWrite(std::move(stop));
  }
  Task<std::optional<io::Error>> AwaitBroken(StopToken stop) override {
    return transport_->AwaitBroken(std::move(stop));
  }
  void Reset() override { transport_->Reset(); }
  io::SocketAddress local() const override { return transport_->local(); }
  io::SocketAddress peer() const override { return transport_->peer(); }
  void ResetUnlessEnded() override { transport_->ResetUnlessEnded(); }
  void LimitUnsent(size_t bytes) override { transport_->LimitUnsent(bytes); }

 private:
  std::unique_ptr<io::Connection> transport_;
  const Tricks tricks_;
  bool has_written_ = false;
};

// The pod that tunnels start from.
class PlainPodNetwork final : public PodNetwork {
 public:
  explicit PlainPodNetwork(io::FakeHost& host) : host_(host) {}
  const CapturedPod& pod() const override { return pod_; }
  std::optional<io::SocketAddress> TakeOriginalDestination(const io::SocketAddress&,
                                                           const io::SocketAddress&) override {
    return std::nullopt;
  }
  Task<io::Result<std::unique_ptr<io::Connection>>> DialOut(io::Loop& loop, io::SocketAddress to,
                                                            StopToken stop) override {
    if (fails_at_once) co_return std::unexpected(io::Error::Errno(ENETUNREACH, io::Op::kConnect));
    io::ConnectOptions options{.to = to, .bind = std::nullopt, .socket = {}};
    auto connected = co_await host_.Connect(loop, std::move(options), stop);
    if (!connected || !only_first_write) co_return connected;
    co_return std::make_unique<TrickyConnection>(*std::move(connected), Tricks{.only_first_write = true});
  }
  Task<io::Result<std::unique_ptr<io::Connection>>> DialApplication(io::Loop& loop,
                                                                    io::SocketAddress to,
                                                                    io::IpAddress,
                                                                    StopToken stop) override {
    co_return co_await DialOut(loop, to, stop);
  }

  bool only_first_write = false;
  bool fails_at_once = false;  // Dials fail without a wait, as connect(2) can.

 private:
  io::FakeHost& host_;
  const CapturedPod pod_;
};

// What the other end does.
struct PeerOptions {
  uint32_t streams_max = 100;
  int refusals = 0;  // Streams that it refuses unseen before it serves any.
  bool listens = true;
  size_t held_bytes_max = size_t{256} << 20;
  bool speaks = true;  // Otherwise it says nothing after the TLS handshake.
  bool breaks_records = false;  // What is no record comes with the end of its handshake.
};

// Whether HTTP/2 bytes from a client's first on have a HEADERS frame among them.
bool HasRequest(std::string_view bytes) {
  constexpr size_t kPrefaceSize = 24;
  constexpr size_t kFrameHeaderSize = 9;
  for (size_t at = kPrefaceSize; at + kFrameHeaderSize <= bytes.size();) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(bytes[at + i]); };
    if (byte(3) == 1) return true;
    at += kFrameHeaderSize + (size_t{byte(0)} << 16 | size_t{byte(1)} << 8 | byte(2));
  }
  return false;
}

// A pool and a peer that answers every request with 200 and holds the stream.
struct Fixture {
  explicit Fixture(const PeerOptions& options = {})
      : simulation(1),
        loop(simulation.AddLoop()),
        network(simulation),
        client(network.AddHost("client", {io::IpAddress::V4(10, 0, 0, 1)})),
        server(network.AddHost("server", {kNextHop.ip})),
        authority(simulation.clock()),
        pod(client),
        held_bytes(options.held_bytes_max),
        pool(loop, pod, tunnel_options),
        options(options),
        peer(loop) {
    tunnel_options.http = HboneOptions();
    tunnel_options.http.budget = &held_bytes;
  }

  TunnelTarget Target() { return {kNextHop, {tls::MakeId("default", "server")}, context}; }
  Task<TunnelResult<std::unique_ptr<http::H2Stream>>> Connect() {
    http::Headers request =
        MakeConnectRequest(io::SocketAddress{kNextHop.ip, 80}, {}, {kNextHop.ip, 1});
    return pool.Connect(Target(), std::move(request), {});
  }

  Task<void> Accept() {
    auto listener = server.Listen(loop, kNextHop);
    while (auto accepted = co_await (*listener)->Accept(peer.stop())) {
      ++tunnels_accepted;
      peer.Spawn(ServeTunnel(*std::move(accepted)));
    }
  }
  Task<void> ServeTunnel(std::unique_ptr<io::AcceptedConnection> accepted) {
    const auto context_of_server =
        authority.Context(authority.Issue(tls::MakeId("default", "server")));
    auto transport = accepted->Attach(loop);
    if (options.breaks_records)
      transport = std::make_unique<TrickyConnection>(std::move(transport), Tricks{.bad_record = true});
    auto secure = std::make_unique<tls::TlsStream>(loop, std::move(transport), context_of_server,
                                                   tls::Role::kServer,
                                                   tls::AnyInTrustDomain{"cluster.local"});
    if (!co_await secure->Handshake(peer.stop())) co_return secure->Reset();
    if (!options.speaks) co_return co_await Listen(*secure);
    http::H2ConnectionOptions session_options;
    session_options.session.max_concurrent_streams = options.streams_max;
    http::H2ServerConnection session(loop, std::move(secure), session_options);
    Scope scope(loop);
    scope.Spawn(session.Run(peer.stop()));
    while (auto stream = co_await session.Accept(peer.stop())) {
      if (options.refusals-- > 0) {
        stream->Reset(http::ErrorCode::kRefusedStream);
      } else {
        scope.Spawn(Hold(std::move(stream)));
      }
    }
    co_await scope.Join();
  }
  Task<void> Listen(tls::TlsStream& secure) {
    std::string bytes;
    while (true) {
      auto read = co_await secure.Read(io::BufferPool::kSmall, peer.stop());
      if (!read || read->empty()) break;
      bytes.append(reinterpret_cast<const char*>(read->bytes().data()), read->size());
      was_asked = was_asked || HasRequest(bytes);
    }
    secure.Reset();
  }
  Task<void> Hold(std::unique_ptr<http::H2Stream> stream) {
    const http::Headers ok{{":status", "200"}};
    static_cast<void>(stream->Respond(ok, false));
    static_cast<void>(co_await stream->Read(1, stream->aborted()));
  }

  Task<void> Run(Task<void> body) {
    if (options.listens) peer.Spawn(Accept());
    co_await std::move(body);
    co_await pool.Close();
    co_await peer.Drain();
  }

  io::Simulation simulation;
  io::Loop& loop;
  io::FakeNetwork network;
  io::FakeHost& client;
  io::FakeHost& server;
  tls::TestAuthority authority;
  std::shared_ptr<const tls::TlsContext> context = NewContext();
  PlainPodNetwork pod;
  http::ReceiveBudget held_bytes;
  TunnelOptions tunnel_options;
  TunnelPool pool;
  PeerOptions options;
  int tunnels_accepted = 0;
  bool was_asked = false;  // A request came to a peer that had not spoken.
  Scope peer;

  std::shared_ptr<const tls::TlsContext> NewContext() {
    return authority.Context(authority.Issue(tls::MakeId("default", "client")));
  }
};

struct Outcomes {
  std::vector<std::unique_ptr<http::H2Stream>> streams;
  std::vector<FailureReason> failures;
};

Task<void> ConnectInto(Fixture& f, Outcomes& outcomes) {
  auto stream = co_await f.Connect();
  if (stream) {
    outcomes.streams.push_back(*std::move(stream));
  } else {
    outcomes.failures.push_back(stream.error().failure.reason);
  }
}

Task<void> ConnectAtOnce(Fixture& f, size_t count, Outcomes& outcomes) {
  Scope scope(f.loop);
  for (size_t i = 0; i < count; ++i) scope.Spawn(ConnectInto(f, outcomes));
  co_await scope.Join();
}

#define POOL_TEST(name, ...)                         \
  Task<void> name##_Body(Fixture& f);                \
  TEST(TunnelPool, name) {                           \
    Fixture f(PeerOptions{__VA_ARGS__});             \
    f.simulation.Run(f.loop, f.Run(name##_Body(f))); \
    EXPECT_EQ(f.pool.stats().tunnels, 0u);           \
  }                                                  \
  Task<void> name##_Body(Fixture& f)

POOL_TEST(OpensOneTunnelForABurstOfConnects) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 20, outcomes);
  EXPECT_EQ(outcomes.streams.size(), 20u);
  EXPECT_EQ(f.tunnels_accepted, 1);
}

POOL_TEST(SendsTheFirstRequestBeforeThePeerSpeaks, .speaks = false) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 2, outcomes);
  EXPECT_TRUE(f.was_asked);
  EXPECT_EQ(outcomes.failures, std::vector(2, FailureReason::kTlsTimeout));
  EXPECT_EQ(f.tunnels_accepted, 1);
}

POOL_TEST(FailsWhenWhatIsNoRecordComesWithTheEndOfTheHandshake, .breaks_records = true) {
  f.pod.only_first_write = true;  // The alert costs no wait: all ends within the call that begins it.
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 2, outcomes);
  EXPECT_EQ(outcomes.failures, std::vector(2, FailureReason::kTlsFailed));
  EXPECT_EQ(f.tunnels_accepted, 1);
}

Task<void> ConnectUntil(Fixture& f, StopToken stop, TunnelResult<void>& outcome) {
  http::Headers request =
      MakeConnectRequest(io::SocketAddress{kNextHop.ip, 80}, {}, {kNextHop.ip, 1});
  auto stream = co_await f.pool.Connect(f.Target(), std::move(request), stop);
  if (!stream) outcome = std::unexpected(stream.error());
}

POOL_TEST(SendsNoRequestOfOneWhoHasGivenUpMeanwhile, .speaks = false) {
  StopSource impatient;
  TunnelResult<void> outcome;
  Scope scope(f.loop);
  scope.Spawn(ConnectUntil(f, impatient.token(), outcome));
  impatient.RequestStop();
  co_await scope.Join();
  EXPECT_FALSE(outcome.has_value());
  // The tunnel is opened all the same, and given up when the peer stays silent.
  co_await f.loop.Sleep(absl::Minutes(1), {});
  EXPECT_EQ(f.tunnels_accepted, 1);
  EXPECT_FALSE(f.was_asked);
}

POOL_TEST(LetsGoOfARequestThatWasSentWhenItsOwnerGivesUp, .speaks = false) {
  StopSource impatient;
  TunnelResult<void> outcome;
  Scope scope(f.loop);
  scope.Spawn(ConnectUntil(f, impatient.token(), outcome));
  while (!f.was_asked) co_await f.loop.Sleep(absl::Milliseconds(1), {});
  impatient.RequestStop();
  co_await scope.Join();
  EXPECT_FALSE(outcome.has_value());
}

POOL_TEST(OpensAnotherTunnelWhenThePeerTakesNoMoreStreams, .streams_max = 2) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 5, outcomes);
  EXPECT_EQ(outcomes.streams.size(), 5u);
  EXPECT_EQ(f.tunnels_accepted, 3);
}

// So many streams reset at once and as many anew must not be more than the peer takes.
Task<void> OpenMoreThanANarrowPeerGetsOnFourTunnels(Fixture& f, int tunnels) {
  f.tunnel_options.http.session.open_streams_max = 300;
  Outcomes outcomes;
  for (int i = 0; i < 4; ++i) co_await ConnectAtOnce(f, kStreamsOfANarrowPeer, outcomes);
  EXPECT_EQ(f.tunnels_accepted, 4);
  co_await ConnectAtOnce(f, 100, outcomes);
  EXPECT_EQ(outcomes.streams.size(), 4 * kStreamsOfANarrowPeer + 100);
  EXPECT_EQ(f.tunnels_accepted, tunnels);
}

POOL_TEST(LeavesRoomOnTheTunnelsOfAPeerThatAllowsNotTwiceAsMany, .streams_max = 599) {
  co_await OpenMoreThanANarrowPeerGetsOnFourTunnels(f, 5);
}

POOL_TEST(OpensAllItsStreamsWhereThePeerAllowsTwiceAsMany, .streams_max = 600) {
  co_await OpenMoreThanANarrowPeerGetsOnFourTunnels(f, 4);
}

POOL_TEST(FillsTunnelsWhenNoOtherMayBeOpened, .streams_max = 600) {
  f.tunnel_options.http.session.open_streams_max = 300;
  f.tunnel_options.tunnels_max = 1;
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 300, outcomes);
  EXPECT_EQ(outcomes.streams.size(), 300u);
  EXPECT_EQ(f.tunnels_accepted, 1);
}

POOL_TEST(SendsARefusedRequestOnceMoreOnAnotherTunnel, .refusals = 1) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(outcomes.streams.size(), 1u);
  EXPECT_EQ(f.tunnels_accepted, 2);
  EXPECT_EQ(f.pool.stats().retried_total, 1u);
}

POOL_TEST(GivesUpWhenTheSecondTryIsRefusedToo, .refusals = 2) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(outcomes.failures, std::vector{FailureReason::kStreamRefused});
}

POOL_TEST(DoesNotDialAPeerInCirclesThatAllowsNoStreams, .streams_max = 0) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 3, outcomes);
  EXPECT_EQ(outcomes.failures.size(), 3u);
  EXPECT_EQ(f.tunnels_accepted, 1);
}

POOL_TEST(TellsEveryWaiterWhyThereIsNoTunnel, .listens = false) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 4, outcomes);
  EXPECT_EQ(outcomes.failures, std::vector(4, FailureReason::kDialFailed));
  EXPECT_EQ(f.pool.stats().attempts_total, 1u);
}

POOL_TEST(TriesOnceWhenADialFailsWithoutAWait) {
  f.pod.fails_at_once = true;
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(outcomes.failures, std::vector{FailureReason::kDialFailed});
  EXPECT_EQ(f.pool.stats().attempts_total, 1u);
}

POOL_TEST(KeepsItsTunnelWhenNoMoreMayBeHeld, .held_bytes_max = 1000) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 2, outcomes);
  CO_ASSERT_TRUE(f.held_bytes.TryTake(1000));
  co_await ConnectAtOnce(f, 2, outcomes);
  f.held_bytes.Return(1000);
  EXPECT_EQ(outcomes.streams.size(), 2u);
  EXPECT_EQ(outcomes.failures, std::vector(2, FailureReason::kOutOfMemory));
  EXPECT_EQ(f.pool.stats().attempts_total, 1u);
}

POOL_TEST(EndsATunnelThatNobodyUsesForLong) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  co_await f.loop.Sleep(absl::Minutes(20), {});
  EXPECT_EQ(f.pool.stats().tunnels, 1u);  // It is used.
  outcomes.streams.clear();
  co_await f.loop.Sleep(absl::Minutes(4), {});
  EXPECT_EQ(f.pool.stats().tunnels, 1u);
  co_await f.loop.Sleep(absl::Minutes(2), {});
  EXPECT_EQ(f.pool.stats().tunnels, 0u);
}

POOL_TEST(EndsTunnelsThatABurstHasLeftSoonAndKeepsOne, .streams_max = 2) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 10, outcomes);
  EXPECT_EQ(f.pool.stats().tunnels, 5u);
  std::unique_ptr<http::H2Stream> last = std::move(outcomes.streams.back());
  outcomes.streams.clear();
  co_await f.loop.Sleep(absl::Seconds(5), {});
  EXPECT_EQ(f.pool.stats().tunnels, 2u);  // The first one, and one that is used.
  EXPECT_FALSE(last->failure());
  last.reset();
  co_await f.loop.Sleep(absl::Seconds(5), {});
  EXPECT_EQ(f.pool.stats().tunnels, 1u);
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(f.tunnels_accepted, 5);
}

POOL_TEST(UsesOnlyTunnelsOfTheCurrentCertificateForNewStreams) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  f.context = f.NewContext();
  f.pool.RetireOthers(f.context.get());
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(f.tunnels_accepted, 2);
  EXPECT_FALSE(outcomes.streams.front()->failure());
  outcomes.streams.erase(outcomes.streams.begin());
  co_await f.loop.Sleep(absl::Seconds(5), {});
  EXPECT_EQ(f.pool.stats().tunnels, 1u);
}

// A relay of the pod: it lets go of its stream when that fails.
Task<void> WaitForEnd(std::unique_ptr<http::H2Stream> stream, bool& failed) {
  failed = !(co_await stream->Read(1, {})).has_value();
}

POOL_TEST(FailsStreamsWhenItIsClosed) {
  Outcomes outcomes;
  co_await ConnectAtOnce(f, 1, outcomes);
  bool failed = false;
  Scope scope(f.loop);
  scope.Spawn(WaitForEnd(std::move(outcomes.streams.front()), failed));
  co_await f.pool.Close();
  co_await scope.Join();
  EXPECT_TRUE(failed);
  outcomes = {};
  co_await ConnectAtOnce(f, 1, outcomes);
  EXPECT_EQ(outcomes.failures, std::vector{FailureReason::kPodReleased});
}

}  // namespace
}  // namespace heddle::agent
