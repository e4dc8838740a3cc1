// The programs whose type can run on made-up input (BPF_PROG_TEST_RUN): sk_lookup by tuple, the
// guard by packet.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <netinet/in.h>

#include <span>

#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

UniqueFd ProgramOf(const std::string& link_path) {
  const UniqueFd link(bpf_obj_get(link_path.c_str()));
  bpf_link_info info{};
  uint32_t size = sizeof info;
  EXPECT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0) << link_path;
  return UniqueFd(bpf_prog_get_fd_by_id(info.prog_id));
}

bpf_sk_lookup Tuple(const io::SocketAddress& remote, const io::SocketAddress& local,
                    uint32_t protocol) {
  bpf_sk_lookup context{};
  context.family = static_cast<uint32_t>(local.family());
  context.protocol = protocol;
  if (local.ip.is_v4()) {
    memcpy(&context.remote_ip4, remote.ip.native_bytes().data(), 4);
    memcpy(&context.local_ip4, local.ip.native_bytes().data(), 4);
  } else {
    memcpy(context.remote_ip6, remote.ip.bytes().data(), 16);
    memcpy(context.local_ip6, local.ip.bytes().data(), 16);
  }
  context.remote_port = htons(remote.port);
  context.local_port = local.port;
  return context;
}

struct LookupCase {
  io::SocketAddress remote;
  io::SocketAddress local;
  uint32_t protocol;
  bool passes;
  bool selects;
};

class GoldenTest : public NodeTest {
 protected:
  void SetUp() override {
    NodeTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    StartAgent();
    pod_ = MakePod("a", 1);
    Capture(*pod_);
  }
  void TearDown() override {
    pod_.reset();
    NodeTest::TearDown();
  }
  void ExpectJudged(std::span<const LookupCase> cases);

  std::unique_ptr<Pod> pod_;
};

TEST_F(GoldenTest, LookupJudgesTuples) {
  const io::SocketAddress client = At("10.9.9.9", 33000), client6 = At("2001:db8::9", 33000);
  const io::IpAddress v4 = pod_->v4, v6 = pod_->v6;
  const LookupCase cases[] = {
      {client, {v4, 80}, IPPROTO_TCP, true, true},
      {client6, {v6, 80}, IPPROTO_TCP, true, true},
      {client, {v4, 80}, IPPROTO_UDP, true, false},
      {client, {v4, HD_PORT_INBOUND_HBONE}, IPPROTO_TCP, true, false},
      {client6, {v6, HD_PORT_INBOUND_HBONE}, IPPROTO_TCP, true, false},
      {client, {v4, HD_PORT_OUTBOUND}, IPPROTO_TCP, false, false},
      {client6, {v6, HD_PORT_INBOUND_PLAINTEXT}, IPPROTO_TCP, false, false},
      {client, {v4, HD_PORT_DNS}, IPPROTO_TCP, false, false},
      {{v4, 33000}, {v4, 80}, IPPROTO_TCP, true, false},
      {{v6, 33000}, {v6, 80}, IPPROTO_TCP, true, false},
      {{v4, 33000}, {v4, HD_PORT_OUTBOUND}, IPPROTO_TCP, true, false},
      {At("127.0.0.1", 33000), At("127.0.0.1", 80), IPPROTO_TCP, true, false},
      {At("127.0.0.1", 33000), {v4, 80}, IPPROTO_TCP, true, false},
      {At("::1", 33000), At("::1", 80), IPPROTO_TCP, true, false},
      {At("128.0.0.1", 33000), {v4, 80}, IPPROTO_TCP, true, true},
  };
  ExpectJudged(cases);
}

TEST_F(GoldenTest, AProgramThatWasLoadedAheadJudgesForThePodThatGetsIt) {
  links_->Prepare();
  ASSERT_TRUE(links_->Attach(pod_->netns.cookie(), pod_->netns.fd()).ok());
  const LookupCase cases[] = {
      {At("10.9.9.9", 33000), {pod_->v4, 80}, IPPROTO_TCP, true, true},
      {At("10.9.9.9", 33000), {pod_->v4, HD_PORT_OUTBOUND}, IPPROTO_TCP, false, false},
  };
  ExpectJudged(cases);
  ASSERT_TRUE(links_->Attach(pod_->netns.cookie(), pod_->netns.fd()).ok());  // And the one after it.
  ExpectJudged(cases);
}

TEST_F(GoldenTest, LookupLeavesExcludedSourcesAlone) {
  pod_->record.exclusion_set = *pods_->PutExclusions(
      {.inbound_prefixes = {*io::IpPrefix::Parse("10.9.0.0/16"), *io::IpPrefix::Parse("::/3")}});
  Update(*pod_);
  const io::IpAddress v4 = pod_->v4, v6 = pod_->v6;
  const LookupCase cases[] = {
      {At("10.9.255.255", 33000), {v4, 80}, IPPROTO_TCP, true, false},
      {At("10.9.0.0", 33000), {v4, 80}, IPPROTO_TCP, true, false},
      {At("10.10.0.0", 33000), {v4, 80}, IPPROTO_TCP, true, true},
      {At("10.8.255.255", 33000), {v4, 80}, IPPROTO_TCP, true, true},
      {At("::9", 33000), {v6, 80}, IPPROTO_TCP, true, false},
      {At("2001:db8::9", 33000), {v6, 80}, IPPROTO_TCP, true, true},
      {At("10.9.9.9", 33000), {v4, HD_PORT_OUTBOUND}, IPPROTO_TCP, false, false},
      {At("::9", 33000), {v6, HD_PORT_DNS}, IPPROTO_TCP, false, false},
  };
  ExpectJudged(cases);
}

void GoldenTest::ExpectJudged(std::span<const LookupCase> cases) {
  const UniqueFd program = ProgramOf(loader_->pins().NetnsLinkPath(pod_->netns.cookie()));
  ASSERT_TRUE(program.valid());
  const uint64_t listener =
      *pods_->FindListener(pod_->netns.cookie(), HD_LISTENER_INBOUND_PLAINTEXT);
  for (const LookupCase& c : cases) {
    bpf_sk_lookup context = Tuple(c.remote, c.local, c.protocol);
    LIBBPF_OPTS(bpf_test_run_opts, run, .ctx_in = &context, .ctx_out = &context,
                .ctx_size_in = sizeof context, .ctx_size_out = sizeof context);
    ASSERT_EQ(bpf_prog_test_run_opts(program.get(), &run), 0);
    const std::string name =
        absl::StrCat(c.remote.ToString(), " -> ", c.local.ToString(), " ", c.protocol);
    EXPECT_EQ(run.retval, c.passes ? 1u : 0u) << name;
    EXPECT_EQ(context.cookie, c.selects ? listener : 0u) << name;
  }
}

// A packet whose socket the hooks know nothing about is not theirs to judge, whatever is in it.
TEST_F(GoldenTest, GuardPassesPacketsOfSocketsItDoesNotKnow) {
  const UniqueFd program = ProgramOf(loader_->pins().LinkPath("hd_egress"));
  ASSERT_TRUE(program.valid());
  for (const uint16_t ethertype : {0x0800, 0x86dd}) {
    std::vector<uint8_t> packet(14 + 60, 0xff);
    packet[12] = static_cast<uint8_t>(ethertype >> 8);
    packet[13] = static_cast<uint8_t>(ethertype & 0xff);
    LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(),
                .data_size_in = static_cast<uint32_t>(packet.size()));
    ASSERT_EQ(bpf_prog_test_run_opts(program.get(), &run), 0);
    EXPECT_EQ(run.retval, 1u);
  }
}

}  // namespace
}  // namespace heddle::agent
