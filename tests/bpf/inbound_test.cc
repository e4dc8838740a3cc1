// Inbound: sk_lookup, the agent's dial to the application, the node's probes; and bind.
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/netlink/tcp_diag.h"
#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

constexpr uint16_t kAppPort = 8080;
constexpr int kProxyMark = 0x111;

// One captured pod with an application.
class InboundTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    StartAgent();
    pod_ = MakePod("a", 1);
    Capture(*pod_);
    app_ = AppListen(*pod_, kAppPort).socket;
    ASSERT_TRUE(app_.valid());
  }
  void TearDown() override {
    app_.Reset();
    pod_.reset();
    NodeTest::TearDown();
  }

  io::SocketAddress App() const { return {pod_->v4, kAppPort}; }
  io::SocketAddress App6() const { return {pod_->v6, kAppPort}; }

  void ExpectArrivesAt(const Answer& client, const UniqueFd& listener,
                       const io::SocketAddress& local) {
    EXPECT_EQ(client.error, 0) << strerror(client.error);
    const auto accepted = Accept(listener.get());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(LocalOf(accepted->get()), local);
    EXPECT_TRUE(AreConnected(client.socket.get(), accepted->get()));
    EXPECT_TRUE(NothingToAccept(app_.get()));
    EXPECT_TRUE(NothingToAccept(pod_->plaintext.get()));
  }
  void SetProbes(hd_probe_mode mode, const std::string& cgroup) {
    loader_->settings().SetProbeRule(*MakeProbeRule(mode, options_.cgroup, place_, cgroup));
  }
  void ExpectNoBypass() const {
    EXPECT_TRUE(Eventually([&] { return Entries(MapId::kBypass) == 0; }))
        << Entries(MapId::kBypass);
  }

  std::unique_ptr<Pod> pod_;
  UniqueFd app_;
};

TEST_F(InboundTest, PlaintextGoesToTheAgentWithItsOriginalDestination) {
  ExpectArrivesAt(OutsideConnect(App()), pod_->plaintext, App());
  ExpectArrivesAt(OutsideConnect(App6()), pod_->plaintext, App6());
  const io::SocketAddress closed{pod_->v4, 9};  // Nobody listens there: the agent finds out.
  ExpectArrivesAt(OutsideConnect(closed), pod_->plaintext, closed);
  EXPECT_EQ(Count(HD_STAT_INBOUND_SELECTED), 3u);
  EXPECT_EQ(counters_->ReadPod(pod_->netns.cookie())->inbound_selected, 3u);
}

TEST_F(InboundTest, HboneGoesToItsListener) {
  ExpectArrivesAt(OutsideConnect({pod_->v4, HD_PORT_INBOUND_HBONE}), pod_->hbone,
                  {pod_->v4, HD_PORT_INBOUND_HBONE});
  ExpectArrivesAt(OutsideConnect({pod_->v6, HD_PORT_INBOUND_HBONE}), pod_->hbone,
                  {pod_->v6, HD_PORT_INBOUND_HBONE});
}

TEST_F(InboundTest, OtherMeshPortsAreRefusedFromOutside) {
  for (const uint16_t port : {HD_PORT_OUTBOUND, HD_PORT_INBOUND_PLAINTEXT, HD_PORT_DNS}) {
    EXPECT_EQ(OutsideConnect({pod_->v4, port}).error, ECONNREFUSED) << port;
    EXPECT_EQ(OutsideConnect({pod_->v6, port}).error, ECONNREFUSED) << port;
  }
  EXPECT_EQ(Count(HD_STAT_INBOUND_MESH_PORT), 6u);
  EXPECT_TRUE(NothingToAccept(pod_->outbound.get()));
}

TEST_F(InboundTest, PlaintextIsRefusedInTheKernelWherePolicyDeniesEverySource) {
  pod_->record.refuse_plaintext = true;
  Update(*pod_);
  EXPECT_EQ(OutsideConnect(App()).error, ECONNREFUSED);
  EXPECT_EQ(OutsideConnect(App6()).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_INBOUND_REFUSED), 2u);
  ExpectArrivesAt(OutsideConnect({pod_->v4, HD_PORT_INBOUND_HBONE}), pod_->hbone,
                  {pod_->v4, HD_PORT_INBOUND_HBONE});
  ExpectArrivesAt(AppConnect(*pod_, App()), app_, App());
}

// The agent asks by sock_diag(7) whether an address pair is in use before it dials with it.
TEST_F(InboundTest, WhatOnlyLooksForASocketIsNoConnection) {
  pod_->record.refuse_plaintext = true;
  Update(*pod_);
  const Answer asked = RunAs("system", &pod_->netns, [this] {
    const auto diag = netlink::TcpDiag::Open();
    const auto found = (*diag)->Find(App(), {outside_->v4, 4711});
    return Answer{.error = !found.ok() ? EIO : found->has_value() ? EEXIST : 0};
  });
  EXPECT_EQ(asked.error, 0) << strerror(asked.error);
  EXPECT_EQ(Count(HD_STAT_INBOUND_REFUSED), 0u);
  EXPECT_EQ(counters_->ReadPod(pod_->netns.cookie())->inbound_refused, 0u);
}

TEST_F(InboundTest, ExcludedPortsAndReleasedPodsReachTheApplication) {
  pod_->record.exclusion_set = *pods_->PutExclusions({.inbound_ports = {kAppPort}});
  Update(*pod_);
  ExpectArrivesAt(OutsideConnect(App()), app_, App());
  ExpectArrivesAt(OutsideConnect(App6()), app_, App6());
  pod_->record.exclusion_set = 0;
  pod_->record.state = HD_POD_RELEASING;
  Update(*pod_);
  ExpectArrivesAt(OutsideConnect(App()), app_, App());
  EXPECT_EQ(Count(HD_STAT_INBOUND_EXCLUDED), 2u);
  EXPECT_EQ(Count(HD_STAT_INBOUND_RELEASED), 1u);
}

// The client is outside_: 10.77.9.2 and fd77:9::2.
TEST_F(InboundTest, ExcludedSourcesReachTheApplicationAndNoOthers) {
  const struct {
    std::vector<std::string> blocks;
    bool v4;
    bool v6;
  } cases[] = {{{"10.77.9.0/24"}, true, false},
               {{"10.77.9.2/32", "fd77:9::2/128"}, true, true},
               {{"10.77.8.0/24", "10.77.9.3/32", "fd77:8::/32", "fd77:9::3/128"}, false, false},
               {{"fd77:9::/32"}, false, true},
               {{"0.0.0.0/0"}, true, false},
               {{"::/0"}, false, true}};  // The beginning of every mapped address, too.
  pod_->record.refuse_plaintext = true;
  uint64_t passed = 0;
  for (const auto& c : cases) {
    Exclusions exclusions;
    for (const std::string& block : c.blocks)
      exclusions.inbound_prefixes.push_back(*io::IpPrefix::Parse(block));
    pod_->record.exclusion_set = *pods_->PutExclusions(exclusions);
    Update(*pod_);
    for (const auto& [app, excluded] : {std::pair(App(), c.v4), std::pair(App6(), c.v6)}) {
      SCOPED_TRACE(absl::StrCat(c.blocks[0], " ", app.ToString()));
      const Answer client = OutsideConnect(app);
      passed += excluded ? 1 : 0;
      if (excluded) {
        ExpectArrivesAt(client, app_, app);
      } else {
        EXPECT_EQ(client.error, ECONNREFUSED);
      }
    }
  }
  EXPECT_EQ(Count(HD_STAT_INBOUND_EXCLUDED), passed);
}

TEST_F(InboundTest, AnExcludedSourceNeedsNoAgentAndGetsNothingElse) {
  pod_->record.exclusion_set =
      *pods_->PutExclusions({.inbound_prefixes = {*io::IpPrefix::Parse("10.77.9.0/24")}});
  Update(*pod_);
  EXPECT_EQ(OutsideConnect({pod_->v4, HD_PORT_INBOUND_PLAINTEXT}).error, ECONNREFUSED);
  ExpectArrivesAt(OutsideConnect({pod_->v4, HD_PORT_INBOUND_HBONE}), pod_->hbone,
                  {pod_->v4, HD_PORT_INBOUND_HBONE});
  loader_->settings().StopBeating();
  ExpectArrivesAt(OutsideConnect(App()), app_, App());
  EXPECT_EQ(OutsideConnect(App6()).error, ECONNREFUSED);
}

TEST_F(InboundTest, ExclusionsOfDestinationsSayNothingAboutSources) {
  pod_->record.exclusion_set = *pods_->PutExclusions(
      {.outbound_prefixes = {*io::IpPrefix::Parse("10.77.9.0/24"), *io::IpPrefix::Parse("::/0")}});
  Update(*pod_);
  ExpectArrivesAt(OutsideConnect(App()), pod_->plaintext, App());
  ExpectArrivesAt(OutsideConnect(App6()), pod_->plaintext, App6());
}

TEST_F(InboundTest, FollowsTheFailModeWhenNobodyServesThePod) {
  loader_->settings().StopBeating();
  EXPECT_EQ(OutsideConnect(App()).error, ECONNREFUSED);
  loader_->settings().Beat();
  pod_->plaintext.Reset();
  EXPECT_EQ(OutsideConnect(App6()).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_INBOUND_AGENT_STALE), 1u);
  EXPECT_EQ(Count(HD_STAT_INBOUND_NO_LISTENER), 1u);
  pod_->record.fail_mode = HD_FAIL_OPEN;
  Update(*pod_);
  pod_->netns.Run([&] { pod_->plaintext = Listen(0).socket; });
  ExpectArrivesAt(OutsideConnect(App()), app_, App());
  EXPECT_EQ(Count(HD_STAT_INBOUND_OPEN), 1u);
}

TEST_F(InboundTest, WithoutARecordItRefuses) {
  pods_->Erase(pod_->netns.cookie());
  EXPECT_EQ(OutsideConnect(App()).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_INBOUND_NO_POD), 1u);
  ASSERT_TRUE(links_->Detach(pod_->netns.cookie()).ok());
  ExpectArrivesAt(OutsideConnect(App()), app_, App());
}

// The agent binds the client's address; the reply finds its way back by a mark (kernel.md F8),
// without conntrack.
TEST_F(InboundTest, TheAgentReachesTheApplicationWithItsClientsAddress) {
  pod_->netns.Shell(
      "sysctl -qw net.ipv4.tcp_fwmark_accept=1; ip rule add fwmark 0x111/0xfff lookup 100\n"
      "ip route add local default dev lo table 100; ip -6 rule add fwmark 0x111/0xfff lookup 100\n"
      "ip -6 route add local default dev lo table 100");
  const io::IpAddress clients[] = {Ip("198.51.100.7"), Ip("2001:db8::7")};
  const io::SocketAddress apps[] = {App(), App6()};
  for (int i = 0; i < 2; ++i) {
    Answer dial;
    pod_->netns.Run([&] {
      const int one = 1;
      dial.socket =
          UniqueFd(socket(clients[i].is_v4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
      setsockopt(dial.socket.get(), SOL_SOCKET, SO_MARK, &kProxyMark, sizeof kProxyMark);
      setsockopt(dial.socket.get(), clients[i].is_v4() ? SOL_IP : SOL_IPV6,
                 clients[i].is_v4() ? IP_TRANSPARENT : IPV6_TRANSPARENT, &one, sizeof one);
      sockaddr_storage address{};
      socklen_t size = io::SocketAddress{clients[i], 45678}.ToKernel(
          clients[i].is_v4() ? AF_INET : AF_INET6, address);
      ASSERT_EQ(bind(dial.socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0)
          << strerror(errno);
      const timeval wait{.tv_sec = 2, .tv_usec = 0};
      setsockopt(dial.socket.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
      size = apps[i].ToKernel(apps[i].family(), address);
      dial.error =
          connect(dial.socket.get(), reinterpret_cast<sockaddr*>(&address), size) == 0 ? 0 : errno;
    });
    EXPECT_EQ(dial.error, 0) << strerror(dial.error);
    const auto accepted = Accept(app_.get());
    ASSERT_TRUE(accepted.has_value());
    EXPECT_EQ(PeerOf(accepted->get()), (io::SocketAddress{clients[i], 45678}));
    EXPECT_TRUE(AreConnected(accepted->get(), dial.socket.get()));
    EXPECT_EQ(Entries(MapId::kBypass), 1u);
    const linger abort{.l_onoff = 1, .l_linger = 0};
    setsockopt(dial.socket.get(), SOL_SOCKET, SO_LINGER, &abort, sizeof abort);
    dial.socket.Reset();
    ExpectNoBypass();
  }
}

TEST_F(InboundTest, ProbesOfTheNodeReachTheApplicationAsTheirRuleSays) {
  pod_->record.refuse_plaintext = true;  // So whatever is no probe is refused.
  Update(*pod_);
  const struct {
    hd_probe_mode mode;
    const char* rule_cgroup;
    const char* caller_cgroup;
    bool probe;
  } cases[] = {{HD_PROBE_NONE, "", "system", false},
               {HD_PROBE_ALL, "", "kubepods/a", true},
               {HD_PROBE_OUTSIDE, "kubepods", "system", true},
               {HD_PROBE_OUTSIDE, "kubepods", "kubepods/a", false},
               {HD_PROBE_OUTSIDE, "none-yet", "system", false},
               {HD_PROBE_OUTSIDE, "none-yet", "kubepods/a", false},
               {HD_PROBE_INSIDE, "system", "system", true},
               {HD_PROBE_INSIDE, "system", "kubepods/a", false}};
  for (const auto& c : cases) {
    SetProbes(c.mode, c.rule_cgroup);
    for (const auto& to : {App(), App6()}) {
      SCOPED_TRACE(
          absl::StrCat(c.mode, " ", c.rule_cgroup, " ", c.caller_cgroup, " ", to.ToString()));
      Answer client = HostConnect(c.caller_cgroup, to);
      if (c.probe) {
        EXPECT_EQ(Entries(MapId::kBypass), 1u);
        ExpectArrivesAt(client, app_, to);
      } else {
        EXPECT_EQ(client.error, ECONNREFUSED);
      }
      client.socket.Reset();
    }
    ExpectNoBypass();
  }
}

TEST_F(InboundTest, AProbeOfAClosedPortIsRefusedByThePod) {
  SetProbes(HD_PROBE_OUTSIDE, "kubepods");
  EXPECT_EQ(HostConnect("system", {pod_->v4, 9}).error, ECONNREFUSED);
  EXPECT_EQ(Count(HD_STAT_INBOUND_BYPASS), 1u);
  ExpectNoBypass();
}

TEST_F(InboundTest, AClientOutsideTheNodeIsNoProbe) {
  SetProbes(HD_PROBE_ALL, "");
  ExpectArrivesAt(OutsideConnect(App()), pod_->plaintext, App());
  EXPECT_EQ(Count(HD_STAT_CONNECT_PROBE), 0u);
}

TEST_F(InboundTest, MeshPortsCannotBeBoundByApplications) {
  pod_->outbound.Reset();
  pod_->plaintext.Reset();
  pod_->hbone.Reset();  // Also while no agent is there.
  for (const uint16_t port :
       {HD_PORT_OUTBOUND, HD_PORT_INBOUND_PLAINTEXT, HD_PORT_INBOUND_HBONE, HD_PORT_DNS}) {
    EXPECT_EQ(AppListen(*pod_, port).error, EADDRINUSE) << port;
    EXPECT_EQ(AppListen(*pod_, port, true).error, EADDRINUSE) << port;
  }
  EXPECT_EQ(Count(HD_STAT_BIND_REFUSED), 8u);
  EXPECT_EQ(AppListen(*pod_, 15002).error, 0);
  EXPECT_EQ(RunAs("kubepods/a", &outside_->netns, [] { return Listen(HD_PORT_OUTBOUND); }).error,
            0);
  pod_->netns.Run([&] { EXPECT_EQ(Listen(HD_PORT_OUTBOUND).error, 0); });
}

}  // namespace
}  // namespace heddle::agent
