#include "bpf/decide.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <array>
#include <string>
#include <vector>

namespace heddle {
namespace {

std::array<__u8, 16> Ip(const std::string& text) {
  std::array<__u8, 16> out{};
  const std::string full = text.find(':') == std::string::npos ? "::ffff:" + text : text;
  EXPECT_EQ(inet_pton(AF_INET6, full.c_str(), out.data()), 1) << text;
  return out;
}

TEST(DecideAddress, TakesForLoopbackWhatConnectTakesForLoopback) {
  for (const char* text : {"127.0.0.1", "127.255.255.254", "0.0.0.0", "::1", "::"}) {
    EXPECT_TRUE(hd_ip_is_loopback(Ip(text).data())) << text;
  }
  for (const char* text :
       {"10.0.0.1", "128.0.0.1", "0.0.0.1", "::2", "fd00::1", "fe80::1", "::127.0.0.1"}) {
    EXPECT_FALSE(hd_ip_is_loopback(Ip(text).data())) << text;
  }
}

TEST(DecideAddress, KnowsFamiliesAndEquality) {
  EXPECT_TRUE(hd_ip_is_v4(Ip("10.0.0.1").data()));
  EXPECT_FALSE(hd_ip_is_v4(Ip("::10.0.0.1").data()));
  EXPECT_FALSE(hd_ip_is_v4(Ip("fd00::1").data()));
  EXPECT_TRUE(hd_ip_is_zero(Ip("::").data()));
  EXPECT_FALSE(hd_ip_is_zero(Ip("0.0.0.0").data()));
  EXPECT_TRUE(hd_ip_equal(Ip("10.0.0.1").data(), Ip("10.0.0.1").data()));
  EXPECT_FALSE(hd_ip_equal(Ip("10.0.0.1").data(), Ip("10.0.0.2").data()));
  EXPECT_FALSE(hd_ip_equal(Ip("fd00::1").data(), Ip("fd01::1").data()));
}

TEST(DecideAgent, IsGoneWhenItsHeartbeatIsTooOldOrWasNever) {
  const __u64 beat = 100'000'000'000;
  EXPECT_TRUE(hd_agent_is_alive(beat, beat));
  EXPECT_TRUE(hd_agent_is_alive(beat - 1, beat));  // Read just before the agent wrote.
  EXPECT_TRUE(hd_agent_is_alive(beat + HD_HEARTBEAT_AGE_MAX_NS - 1, beat));
  EXPECT_FALSE(hd_agent_is_alive(beat + HD_HEARTBEAT_AGE_MAX_NS, beat));
  EXPECT_FALSE(hd_agent_is_alive(1, 0));
}

hd_connect_facts Served(hd_fail_mode fail_mode = HD_FAIL_CLOSED) {
  return {.state = HD_POD_CAPTURING,
          .fail_mode = fail_mode,
          .agent_alive = 1,
          .listener = 1,
          .has_address = 1};
}

struct ConnectCase {
  const char* name;
  void (*change)(hd_connect_facts&);
  hd_verdict closed;
  hd_verdict open;
  hd_stat closed_reason;
};

TEST(DecideConnect, FollowsItsTable) {
  using F = hd_connect_facts;
  const ConnectCase cases[] = {
      {"ordinary", [](F&) {}, HD_VERDICT_REDIRECT, HD_VERDICT_REDIRECT, HD_STAT_CONNECT_REDIRECTED},
      {"state unknown to this version", [](F& f) { f.state = static_cast<hd_pod_state>(0); },
       HD_VERDICT_REDIRECT, HD_VERDICT_REDIRECT, HD_STAT_CONNECT_REDIRECTED},
      {"proxy", [](F& f) { f.proxy = 1; }, HD_VERDICT_PROXY, HD_VERDICT_PROXY,
       HD_STAT_CONNECT_PROXY},
      {"proxy to itself", [](F& f) { f.proxy = f.local = 1; }, HD_VERDICT_PROXY, HD_VERDICT_PROXY,
       HD_STAT_CONNECT_PROXY},
      {"local", [](F& f) { f.local = 1; }, HD_VERDICT_LOCAL, HD_VERDICT_LOCAL,
       HD_STAT_CONNECT_LOCAL},
      {"local without agent",
       [](F& f) {
         f.local = 1;
         f.agent_alive = f.listener = 0;
       },
       HD_VERDICT_LOCAL, HD_VERDICT_LOCAL, HD_STAT_CONNECT_LOCAL},
      {"excluded", [](F& f) { f.excluded = 1; }, HD_VERDICT_EXCLUDED, HD_VERDICT_EXCLUDED,
       HD_STAT_CONNECT_EXCLUDED},
      {"excluded without agent",
       [](F& f) {
         f.excluded = 1;
         f.agent_alive = 0;
       },
       HD_VERDICT_EXCLUDED, HD_VERDICT_EXCLUDED, HD_STAT_CONNECT_EXCLUDED},
      {"releasing",
       [](F& f) {
         f.state = HD_POD_RELEASING;
         f.listener = 0;
       },
       HD_VERDICT_RELEASED, HD_VERDICT_RELEASED, HD_STAT_CONNECT_RELEASED},
      {"stale agent", [](F& f) { f.agent_alive = 0; }, HD_VERDICT_REFUSED, HD_VERDICT_OPEN,
       HD_STAT_CONNECT_AGENT_STALE},
      {"no listener", [](F& f) { f.listener = 0; }, HD_VERDICT_REFUSED, HD_VERDICT_OPEN,
       HD_STAT_CONNECT_NO_LISTENER},
      {"no address", [](F& f) { f.has_address = 0; }, HD_VERDICT_REFUSED, HD_VERDICT_OPEN,
       HD_STAT_CONNECT_NO_ADDRESS},
  };
  for (const ConnectCase& c : cases) {
    hd_connect_facts closed = Served(HD_FAIL_CLOSED);
    hd_connect_facts open = Served(HD_FAIL_OPEN);
    c.change(closed);
    c.change(open);
    EXPECT_EQ(hd_decide_connect(&closed).verdict, c.closed) << c.name;
    EXPECT_EQ(hd_decide_connect(&closed).reason, c.closed_reason) << c.name;
    EXPECT_EQ(hd_decide_connect(&open).verdict, c.open) << c.name;
  }
}

TEST(DecideProbe, FollowsItsMode) {
  constexpr __u64 kCgroup = 77;
  const struct {
    __u32 mode;  // As it stands in the map, where anything can stand.
    __u64 cgroup;
    __u64 ancestor;
    int want;
  } cases[] = {
      {HD_PROBE_NONE, kCgroup, 1, 0},
      {HD_PROBE_ALL, kCgroup, kCgroup, 1},
      {HD_PROBE_OUTSIDE, kCgroup, 1, 1},
      {HD_PROBE_OUTSIDE, kCgroup, kCgroup, 0},
      {HD_PROBE_OUTSIDE, kCgroup, 0, 1},
      {HD_PROBE_OUTSIDE, 0, 0, 0},
      {HD_PROBE_OUTSIDE, 0, 1, 0},
      {HD_PROBE_INSIDE, kCgroup, kCgroup, 1},
      {HD_PROBE_INSIDE, kCgroup, 1, 0},
      {HD_PROBE_INSIDE, 0, 0, 0},
      {9, kCgroup, kCgroup, 0},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(hd_is_probe(c.mode, c.cgroup, c.ancestor), c.want)
        << c.mode << " " << c.cgroup << " " << c.ancestor;
  }
}

TEST(DecideBind, KeepsTheMeshPortsForTheAgent) {
  for (__u16 port : {15001, 15006, 15008, 15053}) {
    EXPECT_FALSE(hd_may_bind(0, 1, port)) << port;
    EXPECT_TRUE(hd_may_bind(1, 1, port)) << port;
  }
  EXPECT_FALSE(hd_may_bind(0, 0, 15053));
  EXPECT_TRUE(hd_may_bind(0, 0, 15001));  // No UDP of ours there.
  EXPECT_TRUE(hd_may_bind(0, 1, 8080));
  EXPECT_TRUE(hd_may_bind(0, 1, 0));
}

hd_inbound_facts Arriving(hd_fail_mode fail_mode = HD_FAIL_CLOSED) {
  return {.state = HD_POD_CAPTURING,
          .fail_mode = fail_mode,
          .local_port = 8080,
          .has_pod = 1,
          .agent_alive = 1,
          .listener = 1};
}

struct InboundCase {
  const char* name;
  void (*change)(hd_inbound_facts&);
  hd_inbound_action closed;
  hd_inbound_action open;
  hd_stat closed_reason;
};

TEST(DecideInbound, FollowsItsTable) {
  using F = hd_inbound_facts;
  const InboundCase cases[] = {
      {"ordinary", [](F&) {}, HD_INBOUND_SELECT, HD_INBOUND_SELECT, HD_STAT_INBOUND_SELECTED},
      {"from self", [](F& f) { f.from_self = 1; }, HD_INBOUND_PASS, HD_INBOUND_PASS,
       HD_STAT_INBOUND_LOCAL},
      {"from self to our port",
       [](F& f) {
         f.from_self = 1;
         f.local_port = 15001;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_LOCAL},
      {"redirected from another own address",
       [](F& f) {
         f.redirected = 1;
         f.local_port = 15001;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_LOCAL},
      {"HBONE", [](F& f) { f.local_port = 15008; }, HD_INBOUND_PASS, HD_INBOUND_PASS,
       HD_STAT_INBOUND_HBONE},
      {"HBONE where plaintext is refused",
       [](F& f) {
         f.local_port = 15008;
         f.refuse_plaintext = 1;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_HBONE},
      {"15001 from outside", [](F& f) { f.local_port = 15001; }, HD_INBOUND_DROP, HD_INBOUND_DROP,
       HD_STAT_INBOUND_MESH_PORT},
      {"15006 from outside", [](F& f) { f.local_port = 15006; }, HD_INBOUND_DROP, HD_INBOUND_DROP,
       HD_STAT_INBOUND_MESH_PORT},
      {"15053 from outside", [](F& f) { f.local_port = 15053; }, HD_INBOUND_DROP, HD_INBOUND_DROP,
       HD_STAT_INBOUND_MESH_PORT},
      {"15001 by a bypass",
       [](F& f) {
         f.local_port = 15001;
         f.bypass = f.excluded = 1;
       },
       HD_INBOUND_DROP, HD_INBOUND_DROP, HD_STAT_INBOUND_MESH_PORT},
      {"no record", [](F& f) { f.has_pod = 0; }, HD_INBOUND_DROP, HD_INBOUND_DROP,
       HD_STAT_INBOUND_NO_POD},
      {"releasing",
       [](F& f) {
         f.state = HD_POD_RELEASING;
         f.refuse_plaintext = 1;
         f.listener = 0;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_RELEASED},
      {"probe",
       [](F& f) {
         f.bypass = 1;
         f.refuse_plaintext = 1;
         f.agent_alive = f.listener = 0;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_BYPASS},
      {"excluded",
       [](F& f) {
         f.excluded = 1;
         f.refuse_plaintext = 1;
       },
       HD_INBOUND_PASS, HD_INBOUND_PASS, HD_STAT_INBOUND_EXCLUDED},
      {"plaintext refused", [](F& f) { f.refuse_plaintext = 1; }, HD_INBOUND_DROP, HD_INBOUND_DROP,
       HD_STAT_INBOUND_REFUSED},
      {"plaintext refused without agent",
       [](F& f) {
         f.refuse_plaintext = 1;
         f.agent_alive = f.listener = 0;
       },
       HD_INBOUND_DROP, HD_INBOUND_DROP, HD_STAT_INBOUND_REFUSED},
      {"stale agent", [](F& f) { f.agent_alive = 0; }, HD_INBOUND_DROP, HD_INBOUND_PASS,
       HD_STAT_INBOUND_AGENT_STALE},
      {"no listener", [](F& f) { f.listener = 0; }, HD_INBOUND_DROP, HD_INBOUND_PASS,
       HD_STAT_INBOUND_NO_LISTENER},
  };
  int without_pod = 0;
  for (const InboundCase& c : cases) {
    hd_inbound_facts closed = Arriving(HD_FAIL_CLOSED);
    hd_inbound_facts open = Arriving(HD_FAIL_OPEN);
    c.change(closed);
    c.change(open);
    EXPECT_EQ(hd_decide_inbound(&closed).action, c.closed) << c.name;
    EXPECT_EQ(hd_decide_inbound(&closed).reason, c.closed_reason) << c.name;
    EXPECT_EQ(hd_decide_inbound(&open).action, c.open) << c.name;
    if (hd_inbound_asks_pod(&closed)) continue;
    ++without_pod;
    const hd_inbound_facts alone{
        .local_port = closed.local_port, .from_self = closed.from_self, .redirected = closed.redirected};
    EXPECT_EQ(hd_decide_inbound(&alone).action, c.closed) << c.name << ", and nothing of the pod is known";
    EXPECT_EQ(hd_decide_inbound(&alone).reason, c.closed_reason) << c.name << ", and nothing of the pod is known";
  }
  EXPECT_GE(without_pod, 4) << "itself, redirected, HBONE, a mesh port";
}

struct EgressCase {
  const char* name;
  hd_egress_facts facts;
  int pass;
  hd_stat reason;
};

TEST(DecideEgress, FollowsItsTable) {
  const EgressCase cases[] = {
      {"data", {HD_PACKET_OTHER, HD_VERDICT_NONE, 1, 0}, 1, HD_STAT_COUNT},
      {"SYN nobody judged", {HD_PACKET_SYN, HD_VERDICT_NONE, 1, 0}, 0, HD_STAT_LEAK_DROPPED},
      {"SYN nobody judged on lo", {HD_PACKET_SYN, HD_VERDICT_NONE, 1, 1}, 1, HD_STAT_COUNT},
      {"SYN of a pod being released", {HD_PACKET_SYN, HD_VERDICT_NONE, 0, 0}, 1, HD_STAT_COUNT},
      {"malformed", {HD_PACKET_MALFORMED, HD_VERDICT_NONE, 1, 0}, 0, HD_STAT_LEAK_MALFORMED},
      {"redirected, on lo", {HD_PACKET_SYN, HD_VERDICT_REDIRECT, 1, 1}, 1, HD_STAT_COUNT},
      {"redirected, elsewhere", {HD_PACKET_SYN, HD_VERDICT_REDIRECT, 1, 0}, 0, HD_STAT_SYN_HELD},
      {"held back, on lo", {HD_PACKET_SYN, HD_VERDICT_REFUSED, 1, 1}, 0, HD_STAT_SYN_HELD},
      {"held back, elsewhere", {HD_PACKET_SYN, HD_VERDICT_REFUSED, 1, 0}, 0, HD_STAT_SYN_HELD},
      {"held back, pod gone", {HD_PACKET_SYN, HD_VERDICT_REFUSED, 0, 1}, 0, HD_STAT_SYN_HELD},
      {"proxy", {HD_PACKET_SYN, HD_VERDICT_PROXY, 1, 0}, 1, HD_STAT_COUNT},
      {"excluded", {HD_PACKET_SYN, HD_VERDICT_EXCLUDED, 1, 0}, 1, HD_STAT_COUNT},
      {"open", {HD_PACKET_SYN, HD_VERDICT_OPEN, 1, 0}, 1, HD_STAT_COUNT},
  };
  for (const EgressCase& c : cases) {
    const hd_egress_decision got = hd_decide_egress(&c.facts);
    EXPECT_EQ(got.pass, c.pass) << c.name;
    EXPECT_EQ(got.reason, c.reason) << c.name;
  }
}

}  // namespace
}  // namespace heddle
