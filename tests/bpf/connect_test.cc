// Outbound: connect, getpeername and the entries of hd_origdst.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

constexpr uint16_t kAppPort = 8080;

// One captured pod, and a server outside that only an uncaptured connection reaches.
class ConnectTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    StartAgent();
    pod_ = MakePod("a", 1);
    Capture(*pod_);
    server_ = RunAs("system", &outside_->netns, [] { return Listen(kAppPort); }).socket;
    ASSERT_TRUE(server_.valid());
  }

  void TearDown() override {
    server_.Reset();
    pod_.reset();
    NodeTest::TearDown();
  }

  io::SocketAddress Server() const { return {outside_->v4, kAppPort}; }
  io::SocketAddress Server6() const { return {outside_->v6, kAppPort}; }

  std::optional<io::SocketAddress> Take(int accepted) const {
    return destinations_->Take(pod_->netns.cookie(), PeerOf(accepted), LocalOf(accepted));
  }

  void ExpectRedirected(const Answer& client, const io::SocketAddress& to) {
    EXPECT_EQ(client.error, 0) << strerror(client.error);
    const auto accepted = Accept(pod_->outbound.get());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(Take(accepted->get()), to);
    EXPECT_TRUE(AreConnected(client.socket.get(), accepted->get()));
    EXPECT_TRUE(NothingToAccept(server_.get()));
  }

  void ExpectReachedServer(const Answer& client) {
    EXPECT_EQ(client.error, 0) << strerror(client.error);
    EXPECT_TRUE(Accept(server_.get()).has_value());
    EXPECT_TRUE(NothingToAccept(pod_->outbound.get()));
  }

  std::unique_ptr<Pod> pod_;
  UniqueFd server_;
};

TEST_F(ConnectTest, RedirectsBothFamiliesAndMappedAddressesAndHidesIt) {
  const struct {
    const char* name;
    io::SocketAddress to;
    bool mapped;
    io::IpAddress own;
  } cases[] = {{"IPv4", Server(), false, pod_->v4},
               {"IPv6", Server6(), false, pod_->v6},
               {"mapped", Server(), true, pod_->v4}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.name);
    const Answer client = AppConnect(*pod_, c.to, {.mapped = c.mapped});
    ExpectRedirected(client, c.to);
    EXPECT_EQ(PeerOf(client.socket.get()), c.to);
    EXPECT_EQ(LocalOf(client.socket.get()).ip, c.own);
  }
  EXPECT_EQ(Count(HD_STAT_CONNECT_REDIRECTED), 3u);
  EXPECT_EQ(counters_->ReadPod(pod_->netns.cookie())->redirected, 3u);
  EXPECT_EQ(Entries(MapId::kOrigdst), 0u);
}

TEST_F(ConnectTest, GivesAnOriginalDestinationOnce) {
  const Answer client = AppConnect(*pod_, Server());
  const auto accepted = Accept(pod_->outbound.get());
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(Entries(MapId::kOrigdst), 1u);
  EXPECT_EQ(Take(accepted->get()), Server());
  EXPECT_EQ(Take(accepted->get()), std::nullopt);
}

TEST_F(ConnectTest, LeavesLoopbackAndOwnAddressesAlone) {
  const UniqueFd app = AppListen(*pod_, kAppPort).socket;
  ASSERT_TRUE(app.valid());
  const struct {
    io::SocketAddress to;
    bool mapped;
  } cases[] = {{At("127.0.0.1", kAppPort), false}, {At("127.9.9.9", kAppPort), false},
               {At("::1", kAppPort), false},       {At("0.0.0.0", kAppPort), false},
               {At("::", kAppPort), false},        {{pod_->v4, kAppPort}, false},
               {{pod_->v6, kAppPort}, false},      {At("127.0.0.1", kAppPort), true},
               {{pod_->v4, kAppPort}, true}};
  for (const auto& c : cases) {
    const Answer client = AppConnect(*pod_, c.to, {.mapped = c.mapped});
    EXPECT_EQ(client.error, 0) << c.to.ToString();
    const auto accepted = Accept(app.get());
    ASSERT_TRUE(accepted.has_value()) << c.to.ToString();
    EXPECT_TRUE(AreConnected(client.socket.get(), accepted->get()));
  }
  EXPECT_EQ(Count(HD_STAT_CONNECT_LOCAL), std::size(cases));
  EXPECT_TRUE(NothingToAccept(pod_->outbound.get()));
  EXPECT_TRUE(NothingToAccept(pod_->plaintext.get()));
}

TEST_F(ConnectTest, LeavesExcludedPortsAndPrefixesAlone) {
  pod_->record.exclusion_set = *pods_->PutExclusions({.outbound_ports = {kAppPort}});
  Update(*pod_);
  ExpectReachedServer(AppConnect(*pod_, Server()));
  ExpectReachedServer(AppConnect(*pod_, Server6()));

  pod_->record.exclusion_set =
      *pods_->PutExclusions({.outbound_prefixes = {*io::IpPrefix::Parse("10.77.9.0/24"),
                                                   *io::IpPrefix::Parse("fd77:8::/32")}});
  Update(*pod_);
  ExpectReachedServer(AppConnect(*pod_, Server()));
  ExpectReachedServer(AppConnect(*pod_, Server(), {.mapped = true}));
  ExpectRedirected(AppConnect(*pod_, Server6()), Server6());

  pod_->record.exclusion_set = *pods_->PutExclusions(  // Of the other direction.
      {.inbound_ports = {kAppPort}, .inbound_prefixes = {*io::IpPrefix::Parse("0.0.0.0/0")}});
  Update(*pod_);
  ExpectRedirected(AppConnect(*pod_, Server()), Server());
  EXPECT_EQ(Count(HD_STAT_CONNECT_EXCLUDED), 4u);
}

TEST_F(ConnectTest, AllOfIpv6HoldsNothingOfIpv4) {
  pod_->record.exclusion_set =
      *pods_->PutExclusions({.outbound_prefixes = {*io::IpPrefix::Parse("::/0")}});
  Update(*pod_);
  ExpectReachedServer(AppConnect(*pod_, Server6()));
  ExpectRedirected(AppConnect(*pod_, Server()), Server());
}

TEST_F(ConnectTest, FollowsTheFailModeWhenTheListenerIsGone) {
  pod_->outbound.Reset();
  EXPECT_EQ(Entries(MapId::kListen), 1u) << "the entry must go with its socket";
  EXPECT_EQ(AppConnect(*pod_, Server()).error, ECONNREFUSED);
  EXPECT_EQ(AppConnect(*pod_, Server6()).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_CONNECT_NO_LISTENER), 2u);
  pod_->record.fail_mode = HD_FAIL_OPEN;
  Update(*pod_);
  const Answer client = AppConnect(*pod_, Server());
  EXPECT_EQ(client.error, 0);
  EXPECT_TRUE(Accept(server_.get()).has_value());
  EXPECT_EQ(Count(HD_STAT_CONNECT_OPEN), 1u);
}

TEST_F(ConnectTest, FollowsTheFailModeWhenTheAgentHangs) {
  loader_->settings().StopBeating();
  EXPECT_EQ(AppConnect(*pod_, Server()).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_CONNECT_AGENT_STALE), 1u);
  hd_cfg cfg = loader_->settings().Read();
  loader_->settings().Beat();
  cfg.heartbeat_ns = loader_->settings().Read().heartbeat_ns -
                     HD_HEARTBEAT_AGE_MAX_NS;  // The last sign: five seconds ago.
  ASSERT_TRUE(loader_->maps().Put(MapId::kCfg, uint32_t{0}, cfg).ok());
  EXPECT_EQ(AppConnect(*pod_, Server()).error, ECONNREFUSED);
  pod_->record.fail_mode = HD_FAIL_OPEN;
  Update(*pod_);
  ExpectReachedServer(AppConnect(*pod_, Server()));
  loader_->settings().Beat();
  ExpectRedirected(AppConnect(*pod_, Server()), Server());
}

TEST_F(ConnectTest, StaysInForceWithoutTheAgentsProcess) {
  pod_->outbound.Reset();
  const uint64_t cookie = pod_->netns.cookie();
  StopAgent();
  EXPECT_EQ(AppConnect(*pod_, Server()).error, ECONNREFUSED);
  StartAgent();
  pod_->netns.Run([&] { pod_->outbound = Listen(HD_PORT_OUTBOUND).socket; });
  ASSERT_TRUE(pods_->PutListener(cookie, HD_LISTENER_OUTBOUND, pod_->outbound.get()).ok());
  ExpectRedirected(AppConnect(*pod_, Server()), Server());
}

TEST_F(ConnectTest, RefusesAFamilyThatThePodHasNoAddressOf) {
  pod_->record.addresses = {pod_->v6};
  Update(*pod_);
  EXPECT_EQ(AppConnect(*pod_, Server()).error, ECONNREFUSED);
  EXPECT_EQ(AppConnect(*pod_, Server(), {.mapped = true}).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_CONNECT_NO_ADDRESS), 2u);
  ExpectRedirected(AppConnect(*pod_, Server6()), Server6());
}

TEST_F(ConnectTest, LeavesReleasedAndUnknownPodsAlone) {
  pod_->record.state = HD_POD_RELEASING;
  Update(*pod_);
  ExpectReachedServer(AppConnect(*pod_, Server()));
  pods_->Erase(pod_->netns.cookie());
  const uint64_t released = Count(HD_STAT_CONNECT_RELEASED);
  ExpectReachedServer(AppConnect(*pod_, Server()));
  EXPECT_EQ(released, 1u);
  EXPECT_EQ(Count(HD_STAT_CONNECT_RELEASED), released);
  EXPECT_EQ(Count(HD_STAT_CONNECT_REDIRECTED), 0u);
}

TEST_F(ConnectTest, KnowsTheAgentsOwnSockets) {
  for (const auto how :
       {ConnectOptions::kConnect, ConnectOptions::kUring, ConnectOptions::kUringWorker}) {
    Answer client;
    pod_->netns.Run([&] { client = Connect(Server(), {.how = how}); });
    ExpectReachedServer(client);
  }
  EXPECT_EQ(Count(HD_STAT_CONNECT_PROXY), 3u);
}

// Sockets are made in the agent's cgroup and may be connected by any of its threads, or by a ring's
// worker.
TEST_F(ConnectTest, KnowsTheAgentsSocketByItsStampWhoeverConnectsIt) {
  UniqueFd stamped;
  pod_->netns.Run([&] { stamped = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); });
  sockaddr_storage to{};
  const socklen_t size = Server().ToKernel(AF_INET, to);
  const Answer done = RunAs("kubepods/a", nullptr, [&] {
    return Answer{
        .error = connect(stamped.get(), reinterpret_cast<sockaddr*>(&to), size) == 0 ? 0 : errno};
  });
  EXPECT_EQ(done.error, 0);
  EXPECT_TRUE(Accept(server_.get()).has_value());
}

TEST_F(ConnectTest, RedirectsConnectsThroughARing) {
  ExpectRedirected(AppConnect(*pod_, Server(), {.how = ConnectOptions::kUring}), Server());
  ExpectRedirected(AppConnect(*pod_, Server6(), {.how = ConnectOptions::kUringWorker}), Server6());
}

TEST_F(ConnectTest, RedirectsFastOpen) {
  pod_->netns.Shell(
      "sysctl -qw net.ipv4.tcp_fastopen=7");  // Client, server, and data without a cookie.
  ExpectRedirected(AppConnect(*pod_, Server(), {.how = ConnectOptions::kFastOpenSend}), Server());
  ExpectRedirected(AppConnect(*pod_, Server6(), {.how = ConnectOptions::kFastOpenSend}), Server6());
  ExpectRedirected(AppConnect(*pod_, Server(), {.how = ConnectOptions::kFastOpenConnect}),
                   Server());
  ExpectRedirected(
      AppConnect(*pod_, Server(), {.mapped = true, .how = ConnectOptions::kFastOpenConnect}),
      Server());
}

TEST_F(ConnectTest, RedirectsMptcp) {
  pod_->netns.Shell("sysctl -qw net.mptcp.enabled=1");
  ExpectRedirected(AppConnect(*pod_, Server(), {.protocol = IPPROTO_MPTCP}), Server());
  ExpectRedirected(AppConnect(*pod_, Server6(), {.protocol = IPPROTO_MPTCP}), Server6());
}

TEST_F(ConnectTest, RedirectsOrRefusesSocketsBoundToADevice) {
  pod_->netns.Shell(
      "ip link add other type veth peer name other2; ip link set other2 up; "
      "ip addr add 10.99.0.1/24 dev other; ip link set other up");
  for (const auto& to : {Server(), Server6()}) {
    for (const char* device : {"other", "lo", "eth0"}) {
      SCOPED_TRACE(absl::StrCat(device, " ", to.ToString()));
      const bool owns_address = std::string_view(device) == "eth0";
      const Answer client = AppConnect(*pod_, to, {.device = device, .nonblocking = !owns_address});
      if (owns_address) {
        ExpectRedirected(client, to);
      } else {
        EXPECT_NE(client.error, 0);
      }
    }
  }
  EXPECT_GT(Count(HD_STAT_SYN_HELD), 0u)
      << "IPv4 takes a foreign device for the way to the pod's own address";
}

TEST_F(ConnectTest, RedirectsSocketsBoundToASourceAddress) {
  pod_->netns.Shell("ip addr add 10.77.1.77/24 dev eth0");
  ExpectRedirected(AppConnect(*pod_, Server(), {.source = At("10.77.1.77", 0)}), Server());
  ExpectRedirected(AppConnect(*pod_, Server(), {.source = At("127.0.0.1", 0)}), Server());
  ExpectRedirected(AppConnect(*pod_, Server6(), {.source = io::SocketAddress{pod_->v6, 0}}),
                   Server6());
}

TEST_F(ConnectTest, UsesAPortAgainWithItsNewDestination) {
  const io::SocketAddress source{pod_->v4, 40000};
  for (const auto& to : {Server(), io::SocketAddress{outside_->v4, 9999}, Server()}) {
    const Answer client = AppConnect(*pod_, to, {.source = source, .reset_on_close = true});
    ExpectRedirected(client, to);
  }
  EXPECT_EQ(Entries(MapId::kOrigdst), 0u);
}

TEST_F(ConnectTest, ForgetsTheFirstDestinationOfASocketThatConnectsAgain) {
  const UniqueFd app = AppListen(*pod_, kAppPort).socket;
  const Answer client = RunAs("kubepods/a", &pod_->netns, [&] {
    Answer answer = Connect({outside_->v4, 1}, {.reset_on_close = true});
    sockaddr_storage to{};
    const sockaddr unspecified{.sa_family = AF_UNSPEC, .sa_data = {}};
    connect(answer.socket.get(), &unspecified, sizeof unspecified);
    const socklen_t size = io::SocketAddress{pod_->v4, kAppPort}.ToKernel(AF_INET, to);
    answer.error =
        connect(answer.socket.get(), reinterpret_cast<sockaddr*>(&to), size) == 0 ? 0 : errno;
    return answer;
  });
  EXPECT_EQ(client.error, 0);
  EXPECT_EQ(PeerOf(client.socket.get()), (io::SocketAddress{pod_->v4, kAppPort}));
  EXPECT_TRUE(Accept(app.get()).has_value());
}

TEST_F(ConnectTest, LeavesUdpAlone) {
  const Answer client = RunAs("kubepods/a", &pod_->netns, [&] {
    Answer answer{.socket = UniqueFd(socket(AF_INET, SOCK_DGRAM, 0))};
    sockaddr_storage to{};
    const socklen_t size = Server().ToKernel(AF_INET, to);
    answer.error =
        connect(answer.socket.get(), reinterpret_cast<sockaddr*>(&to), size) == 0 ? 0 : errno;
    return answer;
  });
  EXPECT_EQ(PeerOf(client.socket.get()), Server());
}

}  // namespace
}  // namespace heddle::agent
