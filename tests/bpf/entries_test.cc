// The entries of hd_origdst and hd_bypass: when they die, and what happens when there is no room
// for them.
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <vector>

#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

constexpr uint16_t kAppPort = 8080;
constexpr uint32_t kFewEntries = 2;

class EntriesTest : public NodeTest {
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
  io::SocketAddress Server() const { return {outside_->v4, kAppPort}; }
  // Callbacks of sockets that end run in softirq, so a moment later than close().
  void ExpectEntries(MapId id, uint32_t want) const {
    EXPECT_TRUE(Eventually([&] { return Entries(id) == want; })) << Entries(id);
  }

  std::unique_ptr<Pod> pod_;
};

class FewEntriesTest : public EntriesTest {
 protected:
  BpfLoaderOptions Options() const override {
    BpfLoaderOptions options = options_;
    options.origdst_entries_max = kFewEntries;
    options.bypass_entries_max = kFewEntries;
    return options;
  }
};

TEST_F(EntriesTest, EntryOfARequestThatWasClosedAtOnceWaitsForTheProxy) {
  Answer client = AppConnect(*pod_, Server());
  ASSERT_EQ(send(client.socket.get(), "hello", 5, 0), 5);
  const io::SocketAddress own = LocalOf(client.socket.get());
  client.socket.Reset();
  ExpectEntries(MapId::kOrigdst, 1);
  const auto accepted = Accept(pod_->outbound.get());
  ASSERT_TRUE(accepted.has_value());
  EXPECT_EQ(destinations_->Take(pod_->netns.cookie(), own, {pod_->v4, HD_PORT_OUTBOUND}), Server());
  char text[8] = {};
  EXPECT_EQ(recv(accepted->get(), text, sizeof text, 0), 5);
}

TEST_F(EntriesTest, EntryGoesWhenTheClientResetsBeforeItIsAccepted) {
  Answer client = AppConnect(*pod_, Server(), {.reset_on_close = true});
  ExpectEntries(MapId::kOrigdst, 1);
  client.socket.Reset();
  ExpectEntries(MapId::kOrigdst, 0);
}

TEST_F(EntriesTest, EntryOfARequestThatWasClosedAtOnceGoesWithTheListener) {
  Answer client = AppConnect(*pod_, Server());
  ASSERT_EQ(send(client.socket.get(), "hello", 5, 0), 5);
  client.socket.Reset();
  ExpectEntries(MapId::kOrigdst, 1);
  pod_->outbound.Reset();
  ExpectEntries(MapId::kOrigdst, 0);
}

TEST_F(EntriesTest, EntriesGoWithTheListenerThatHeldThem) {
  std::vector<Answer> clients;
  for (int i = 0; i < 8; ++i)
    clients.push_back(AppConnect(*pod_, {i % 2 ? outside_->v4 : outside_->v6, kAppPort}));
  ExpectEntries(MapId::kOrigdst, 8);
  pod_->outbound.Reset();
  ExpectEntries(MapId::kOrigdst, 0);
  ExpectEntries(MapId::kListen, 1);
}

// A full accept queue drops the handshake's end: SYNs are sent again, and those that give up leave
// nothing behind.
TEST_F(EntriesTest, EntriesOfConnectsThatNeverArriveGoWithTheirSockets) {
  pod_->outbound.Reset();
  pod_->netns.Run([&] { pod_->outbound = Listen(HD_PORT_OUTBOUND, 0).socket; });
  ASSERT_TRUE(
      pods_->PutListener(pod_->netns.cookie(), HD_LISTENER_OUTBOUND, pod_->outbound.get()).ok());
  std::vector<Answer> clients;
  for (int i = 0; i < 6; ++i) clients.push_back(AppConnect(*pod_, Server(), {.nonblocking = true}));
  EXPECT_EQ(Entries(MapId::kOrigdst), 6u);
  // Room again: a connect whose SYN was dropped arrives with its retransmission, and with its
  // destination.
  int arrived = 0;
  while (const auto accepted = Accept(pod_->outbound.get(), kRetransmitWaitMs)) {
    ++arrived;
    EXPECT_EQ(destinations_->Take(pod_->netns.cookie(), PeerOf(accepted->get()),
                                  LocalOf(accepted->get())),
              Server());
    if (arrived == 2) break;
  }
  EXPECT_EQ(arrived, 2);
  clients.clear();
  pod_->outbound.Reset();
  ExpectEntries(MapId::kOrigdst, 0);
}

TEST_F(EntriesTest, ATupleThatStillWaitsIsNotGivenToTheNextConnection) {
  const io::SocketAddress source{pod_->v4, 40001};
  hd_flow flow{
      .netns_cookie = pod_->netns.cookie(), .src_port = source.port, .dst_port = HD_PORT_OUTBOUND};
  std::ranges::copy(pod_->v4.bytes(), flow.src_ip);
  std::ranges::copy(pod_->v4.bytes(), flow.dst_ip);
  const hd_origdst waiting{.owner_cookie = 1, .dst_port = 1, .state = HD_ORIGDST_ARRIVED};
  ASSERT_TRUE(loader_->maps().Put(MapId::kOrigdst, flow, waiting).ok());
  const Answer held = AppConnect(*pod_, Server(), {.source = source, .nonblocking = true});
  EXPECT_EQ(Count(HD_STAT_ORIGDST_BUSY), 1u);
  EXPECT_GT(Count(HD_STAT_SYN_HELD), 0u);
  EXPECT_TRUE(NothingToAccept(pod_->outbound.get()));
  EXPECT_EQ(loader_->maps().Find<hd_origdst>(MapId::kOrigdst, flow)->owner_cookie, 1u);
}

TEST_F(FewEntriesTest, WithoutRoomTheConnectionArrivesWithoutADestination) {
  std::vector<Answer> clients;
  for (uint32_t i = 0; i <= kFewEntries; ++i) clients.push_back(AppConnect(*pod_, Server()));
  uint32_t without = 0;
  for (uint32_t i = 0; i <= kFewEntries; ++i) {
    const auto accepted = Accept(pod_->outbound.get());
    ASSERT_TRUE(accepted.has_value());
    without += !destinations_->Take(pod_->netns.cookie(), PeerOf(accepted->get()),
                                    LocalOf(accepted->get()));
  }
  EXPECT_EQ(without, 1u);
  EXPECT_EQ(Count(HD_STAT_ORIGDST_FULL), 1u);
}

TEST_F(FewEntriesTest, WithoutRoomTheProxysOwnConnectIsHeldRatherThanCaptured) {
  const UniqueFd app = AppListen(*pod_, kAppPort).socket;
  pod_->netns.Shell("ip addr add 10.77.1.77/24 dev eth0");  // A source that is not the destination,
                                                            // as a client's would be.
  std::vector<Answer> dials(kFewEntries + 1);
  pod_->netns.Run([&] {
    for (uint32_t i = 0; i <= kFewEntries; ++i) {
      const bool last = i == kFewEntries;
      dials[i] =
          Connect({pod_->v4, kAppPort}, {.source = At("10.77.1.77", 0), .nonblocking = last});
    }
  });
  for (uint32_t i = 0; i < kFewEntries; ++i) EXPECT_TRUE(Accept(app.get()).has_value());
  EXPECT_EQ(Count(HD_STAT_BYPASS_FULL), 1u);
  EXPECT_GT(Count(HD_STAT_SYN_HELD), 0u);
  EXPECT_TRUE(NothingToAccept(app.get()));
  EXPECT_TRUE(NothingToAccept(pod_->plaintext.get()));
  dials.clear();
  ExpectEntries(MapId::kBypass, 0);
}

TEST_F(EntriesTest, NothingIsLeftAfterManyConnections) {
  const UniqueFd app = AppListen(*pod_, kAppPort).socket;
  ASSERT_TRUE(app.valid());
  constexpr int kConnections = 200;
  const Answer done = RunAs("kubepods/a", &pod_->netns, [&] {
    for (int i = 0; i < kConnections; ++i) {
      const Answer one =
          Connect({i % 2 ? outside_->v4 : outside_->v6, kAppPort}, {.reset_on_close = i % 3 == 0});
      if (one.error != 0) return Answer{.error = one.error};
      UniqueFd(accept4(pod_->outbound.get(), nullptr, nullptr, 0));
    }
    return Answer{};
  });
  EXPECT_EQ(done.error, 0);
  EXPECT_EQ(Count(HD_STAT_CONNECT_REDIRECTED), static_cast<uint64_t>(kConnections));
  pod_->outbound.Reset();
  ExpectEntries(MapId::kOrigdst, 0);
  pods_->Erase(pod_->netns.cookie());
  for (MapId id : {MapId::kPods, MapId::kPodIp, MapId::kPodStats, MapId::kOrigdst, MapId::kBypass})
    ExpectEntries(id, 0);
}

}  // namespace
}  // namespace heddle::agent
