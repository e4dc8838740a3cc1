// The egress guard: TCP that did not come through connect().
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <map>
#include <vector>

#include "agent/node/bpf_events.h"
#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

using Bytes = std::vector<uint8_t>;

constexpr uint8_t kTcp = IPPROTO_TCP;
constexpr uint8_t kDestinationOptions = IPPROTO_DSTOPTS;
constexpr uint8_t kSyn = TH_SYN;
constexpr uint8_t kAck = TH_ACK;

template <typename Header>
void Append(Bytes& out, const Header& header) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(&header);
  out.insert(out.end(), bytes, bytes + sizeof header);
}

Bytes Tcp(uint8_t flags) {
  tcphdr header{};
  header.th_sport = htons(40000);
  header.th_dport = htons(8080);
  header.th_off = 5;
  header.th_flags = flags;
  Bytes out;
  Append(out, header);
  return out;
}

Bytes Ipv4(const io::IpAddress& from, const io::IpAddress& to, uint16_t fragment,
           const Bytes& payload, int options = 0) {
  ip header{};
  header.ip_v = 4;
  header.ip_hl = static_cast<unsigned>(5 + options);
  header.ip_len = htons(static_cast<uint16_t>(header.ip_hl * 4 + payload.size()));
  header.ip_off = htons(fragment);
  header.ip_ttl = 64;
  header.ip_p = IPPROTO_TCP;
  memcpy(&header.ip_src, from.native_bytes().data(), 4);
  memcpy(&header.ip_dst, to.native_bytes().data(), 4);
  Bytes out;
  Append(out, header);
  out.insert(out.end(), static_cast<size_t>(options) * 4, 1);  // No-operation options.
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

Bytes Ipv6(const io::IpAddress& from, const io::IpAddress& to, int extensions,
           const Bytes& payload) {
  ip6_hdr header{};
  header.ip6_vfc = 6 << 4;
  header.ip6_plen = htons(static_cast<uint16_t>(8 * extensions + static_cast<int>(payload.size())));
  header.ip6_nxt = extensions > 0 ? kDestinationOptions : kTcp;
  header.ip6_hlim = 64;
  memcpy(&header.ip6_src, from.bytes().data(), 16);
  memcpy(&header.ip6_dst, to.bytes().data(), 16);
  Bytes out;
  Append(out, header);
  for (int i = 1; i <= extensions; ++i) {
    const uint8_t next = i < extensions ? kDestinationOptions : kTcp;
    out.insert(out.end(), {next, 0, 1, 4, 0, 0, 0, 0});  // One PadN option.
  }
  out.insert(out.end(), payload.begin(), payload.end());
  return out;
}

// errno of sending `packet`; `protocol` IPPROTO_RAW: with its IP header.
int SendRaw(int family, int protocol, const Bytes& packet, const io::IpAddress& to) {
  const UniqueFd raw(socket(family, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!raw.valid()) return errno;
  sockaddr_storage address{};
  const socklen_t size = io::SocketAddress{to, 0}.ToKernel(family, address);
  const ssize_t sent = sendto(raw.get(), packet.data(), packet.size(), 0,
                              reinterpret_cast<sockaddr*>(&address), size);
  return sent == static_cast<ssize_t>(packet.size()) ? 0 : errno;
}

class GuardTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    StartAgent();
    pod_ = MakePod("a", 1);
    Capture(*pod_);
    v4_ = outside_->v4;
    v6_ = outside_->v6;
  }
  void TearDown() override {
    pod_.reset();
    NodeTest::TearDown();
  }
  int SendFromPod(int family, int protocol, const Bytes& packet, const io::IpAddress& to) const {
    return RunAs("kubepods/a", &pod_->netns,
                 [&] { return Answer{.error = SendRaw(family, protocol, packet, to)}; })
        .error;
  }

  std::unique_ptr<Pod> pod_;
  io::IpAddress v4_;
  io::IpAddress v6_;
};

TEST_F(GuardTest, DropsWhatStartsAConnectionAndNothingElse) {
  const Bytes ping4 = [] {
    Bytes out;
    Append(out, icmphdr{.type = ICMP_ECHO, .code = 0, .checksum = 0, .un = {}});
    return out;
  }();
  const struct {
    const char* name;
    int family;
    int protocol;
    Bytes packet;
    io::IpAddress to;
    hd_stat dropped;  // HD_STAT_COUNT: passes.
  } cases[] = {
      {"SYN", AF_INET, IPPROTO_TCP, Tcp(kSyn), v4_, HD_STAT_LEAK_DROPPED},
      {"SYN with ECN", AF_INET, IPPROTO_TCP, Tcp(kSyn | 0xc0), v4_, HD_STAT_LEAK_DROPPED},
      {"SYN and ACK", AF_INET, IPPROTO_TCP, Tcp(kSyn | kAck), v4_, HD_STAT_COUNT},
      {"reset", AF_INET, IPPROTO_TCP, Tcp(TH_RST), v4_, HD_STAT_COUNT},
      {"SYN with own header", AF_INET, IPPROTO_RAW, Ipv4(pod_->v4, v4_, 0, Tcp(kSyn)), v4_,
       HD_STAT_LEAK_DROPPED},
      {"SYN with a foreign source", AF_INET, IPPROTO_RAW,
       Ipv4(Ip("198.51.100.7"), v4_, 0, Tcp(kSyn)), v4_, HD_STAT_LEAK_DROPPED},
      {"SYN behind IP options", AF_INET, IPPROTO_RAW, Ipv4(pod_->v4, v4_, 0, Tcp(kSyn), 10), v4_,
       HD_STAT_LEAK_DROPPED},
      {"first fragment", AF_INET, IPPROTO_RAW, Ipv4(pod_->v4, v4_, IP_MF, Tcp(kSyn)), v4_,
       HD_STAT_LEAK_MALFORMED},
      {"later fragment", AF_INET, IPPROTO_RAW, Ipv4(pod_->v4, v4_, 1, Tcp(kAck)), v4_,
       HD_STAT_LEAK_MALFORMED},
      {"no room for flags", AF_INET, IPPROTO_RAW, Ipv4(pod_->v4, v4_, 0, Bytes(8)), v4_,
       HD_STAT_LEAK_MALFORMED},
      {"ping", AF_INET, IPPROTO_ICMP, ping4, v4_, HD_STAT_COUNT},
      {"SYN to itself", AF_INET, IPPROTO_TCP, Tcp(kSyn), pod_->v4, HD_STAT_COUNT},
      {"IPv6 SYN", AF_INET6, IPPROTO_TCP, Tcp(kSyn), v6_, HD_STAT_LEAK_DROPPED},
      {"IPv6 ACK", AF_INET6, IPPROTO_TCP, Tcp(kAck), v6_, HD_STAT_COUNT},
      {"IPv6 SYN behind options", AF_INET6, IPPROTO_RAW, Ipv6(pod_->v6, v6_, 3, Tcp(kSyn)), v6_,
       HD_STAT_LEAK_DROPPED},
      {"IPv6 ACK behind options", AF_INET6, IPPROTO_RAW, Ipv6(pod_->v6, v6_, 3, Tcp(kAck)), v6_,
       HD_STAT_COUNT},
      {"IPv6 behind endless options", AF_INET6, IPPROTO_RAW, Ipv6(pod_->v6, v6_, 20, Tcp(kSyn)),
       v6_, HD_STAT_LEAK_MALFORMED},
  };
  for (const auto& c : cases) {
    const auto before = counters_->ReadAll();
    const int error = SendFromPod(c.family, c.protocol, c.packet, c.to);
    EXPECT_EQ(error, c.dropped == HD_STAT_COUNT ? 0 : EPERM) << c.name;
    for (const hd_stat stat : {HD_STAT_LEAK_DROPPED, HD_STAT_LEAK_MALFORMED}) {
      EXPECT_EQ(Count(stat) - before[stat], stat == c.dropped ? 1u : 0u)
          << c.name << ": " << StatName(stat);
    }
  }
}

TEST_F(GuardTest, LeavesReleasedAndForeignNetnsAlone) {
  EXPECT_EQ(
      RunAs("kubepods/a", &outside_->netns,
            [&] { return Answer{.error = SendRaw(AF_INET, IPPROTO_TCP, Tcp(kSyn), pod_->v4)}; })
          .error,
      0);
  pod_->record.state = HD_POD_RELEASING;
  Update(*pod_);
  EXPECT_EQ(SendFromPod(AF_INET, IPPROTO_TCP, Tcp(kSyn), v4_), 0);
  EXPECT_EQ(Count(HD_STAT_LEAK_DROPPED), 0u);
}

// Of a socket that connected before its pod was captured: the guard leaves it alone.
TEST_F(GuardTest, LeavesOlderConnectionsAlone) {
  auto later = MakePod("later", 2);
  const UniqueFd server = RunAs("system", &outside_->netns, [] { return Listen(8080); }).socket;
  const Answer client = AppConnect(*later, {v4_, 8080});
  const auto accepted = Accept(server.get());
  ASSERT_TRUE(accepted.has_value());
  Capture(*later);
  EXPECT_TRUE(AreConnected(client.socket.get(), accepted->get()));
  EXPECT_TRUE(AreConnected(accepted->get(), client.socket.get()));
}

TEST_F(GuardTest, TellsTheAgentWhatItDroppedAndRefused) {
  auto events = BpfEvents::Open(loader_->maps());
  ASSERT_TRUE(events.ok()) << events.status();
  SendFromPod(AF_INET, IPPROTO_TCP, Tcp(kSyn), v4_);
  pod_->outbound.Reset();
  AppConnect(*pod_, {v4_, 8080});
  OutsideConnect({pod_->v4, HD_PORT_OUTBOUND});
  AppListen(*pod_, HD_PORT_DNS);
  std::vector<hd_event> got;
  EXPECT_EQ(events->Read(1, [&](const hd_event& event) { got.push_back(event); }), 1u);
  EXPECT_EQ(events->Read(100, [&](const hd_event& event) { got.push_back(event); }), 3u);
  EXPECT_EQ(events->Read(100, [](const hd_event&) {}), 0u);
  ASSERT_EQ(got.size(), 4u);
  EXPECT_EQ(got[0].type, HD_EVENT_LEAK);
  EXPECT_EQ(got[1].type, HD_EVENT_CONNECT_REFUSED);
  EXPECT_EQ(got[1].reason, HD_STAT_CONNECT_NO_LISTENER);
  EXPECT_EQ(got[1].dst_port, 8080);
  EXPECT_EQ(*io::IpAddress::FromBytes(got[1].dst_ip), v4_);
  EXPECT_EQ(got[2].type, HD_EVENT_INBOUND_REFUSED);
  EXPECT_EQ(*io::IpAddress::FromBytes(got[2].src_ip), v4_);
  EXPECT_EQ(got[3].type, HD_EVENT_BIND_REFUSED);
  for (const hd_event& event : got) EXPECT_EQ(event.netns_cookie, pod_->netns.cookie());
  EXPECT_EQ(StatName(got[1].reason), "connect_no_listener");
}

TEST_F(GuardTest, APodThatFailsInALoopLeavesRoomForTheEventsOfOthers) {
  auto events = BpfEvents::Open(loader_->maps());
  ASSERT_TRUE(events.ok()) << events.status();
  auto quiet = MakePod("quiet", 2);
  Capture(*quiet);
  pod_->outbound.Reset();
  constexpr int kTries = 20'000;  // More than the buffer holds.
  RunAs("kubepods/a", &pod_->netns, [&] {
    for (int i = 0; i < kTries; ++i) Connect({v4_, 8080}, {});
    return Answer{};
  });
  AppListen(*quiet, HD_PORT_DNS);
  std::map<uint64_t, uint64_t> by_pod;
  events->Read(kTries, [&](const hd_event& event) { ++by_pod[event.netns_cookie]; });
  EXPECT_EQ(by_pod[quiet->netns.cookie()], 1u);
  EXPECT_GE(by_pod[pod_->netns.cookie()], HD_EVENTS_PER_POD_SECOND);
  EXPECT_EQ(Count(HD_STAT_EVENTS_LOST), 0u);
  EXPECT_EQ(Count(HD_STAT_EVENTS_LIMITED), kTries - by_pod[pod_->netns.cookie()]);
  EXPECT_EQ(Count(HD_STAT_CONNECT_NO_LISTENER), uint64_t{kTries});
}

}  // namespace
}  // namespace heddle::agent
