#include <algorithm>

#include "tests/bpf/pod_registry_fixture.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

hd_ip KeyOf(const io::IpAddress& address) {
  hd_ip key{};
  std::ranges::copy(address.bytes(), key.addr);
  return key;
}

TEST_F(PodRegistryTest, AddCapturesAndDelLeavesNothing) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  EXPECT_TRUE(proxy_->Serves("uid-a"));
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(RecordFiles(), 1u);
  EXPECT_EQ(Wait(Send(Request(cni::Command::kCheck, "uid-a", *a_), a_.get())).code, 0);
  ASSERT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  EXPECT_FALSE(proxy_->Serves("uid-a"));
  ExpectNothingLeft(*a_);
  EXPECT_EQ(Wait(Del("uid-a", *a_)).code, 0);
}

TEST_F(PodRegistryTest, RefusesAPodWithoutItsUidAndLetsOtherContainersPass) {
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  request.pod.uid.clear();
  EXPECT_EQ(Wait(Send(request, a_.get())).code, static_cast<int>(cni::ErrorCode::kBadEnvironment));
  request.pod = {};
  EXPECT_EQ(Wait(Send(request, a_.get())).code, 0);
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, APodOfAnExemptNamespaceStartsAtOnceThoughNobodyToldOfIt) {
  cni::Request request = Request(cni::Command::kAdd, "uid-of-nobody", *a_);
  request.pod.pod_namespace = "kube-system";
  const auto before = clock_.Monotonic();
  EXPECT_EQ(Wait(Send(request, &*a_)).code, 0);
  EXPECT_LT(clock_.Monotonic() - before, absl::Seconds(3));  // Others are waited for for 6 s.
  EXPECT_FALSE(InKernel(*a_));
}

TEST_F(PodRegistryTest, RefusesAPathThatLeadsElsewhere) {
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  for (const char* path : {"/proc/self/ns/net", "/run/netns/not-there"}) {
    request.netns = path;
    const cni::Reply reply = Wait(Send(request, a_.get()));
    EXPECT_EQ(reply.code, static_cast<int>(cni::ErrorCode::kBadEnvironment));
    EXPECT_THAT(reply.msg, testing::HasSubstr(path));
  }
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, ReplacesALostListenerWithoutAMomentOutsideTheMesh) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  for (const ListenerRole role : kListenerRoles) {
    const uint64_t since = CapturedSince(*a_);
    proxy_->LoseListener("uid-a", role);
    Reconcile();
    EXPECT_EQ(registry_->stats().gaps, 0u);
    EXPECT_TRUE(registry_->List().at(0).captured) << registry_->List().at(0).problem;
    EXPECT_TRUE(RedirectsConnects(*a_));
    EXPECT_EQ(CapturedSince(*a_), since);
    ASSERT_TRUE(at_release_.has_value());
    EXPECT_EQ(at_release_->state, HD_POD_CAPTURING);
  }
  EXPECT_EQ(registry_->stats().repaired_total, 3u);
}

TEST_F(PodRegistryTest, ALostListenerThatCannotBeReplacedIsAGapUntilItCan) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  proxy_->LoseListener("uid-a", ListenerRole::kOutbound);
  UniqueFd intruder;  // Of a process outside the cgroup: no hook keeps it from our port.
  a_->netns.Run([&] { intruder = Listen(kOutboundPort).socket; });
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 1u);
  EXPECT_THAT(registry_->List().at(0).problem, HasSubstr("15001"));
  EXPECT_EQ(AppConnect(*a_, {outside_->v4, 8080}).error, ECONNREFUSED);
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 1u);
  intruder.Reset();
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_TRUE(RedirectsConnects(*a_));
}

TEST_F(PodRegistryTest, RepairsWhatTheKernelLost) {
  node::v1::Interception open;
  open.set_fail_mode(node::v1::CLOSED);
  open.add_excluded_outbound_ports(25);
  Bind("uid-a", "a", open);
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  const hd_pod good = *InKernel(*a_);
  const std::map<std::string, std::function<void()>> damages = {
      {"record", [&] { pods_->Erase(a_->netns.cookie()); }},
      {"address", [&] { ASSERT_TRUE(loader_->maps().Erase(MapId::kPodIp, KeyOf(a_->v4))); }},
      {"link", [&] { ASSERT_TRUE(links_->Detach(a_->netns.cookie()).ok()); }},
      {"state",
       [&] {
         hd_pod bad = good;
         bad.state = HD_POD_RELEASING;
         ASSERT_TRUE(loader_->maps().Put(MapId::kPods, a_->netns.cookie(), bad).ok());
       }},
      {"fail mode",
       [&] {
         hd_pod bad = good;
         bad.fail_mode = HD_FAIL_OPEN;
         ASSERT_TRUE(loader_->maps().Put(MapId::kPods, a_->netns.cookie(), bad).ok());
       }},
      {"exclusions",
       [&] {
         hd_pod bad = good;
         bad.exclusion_set += 1;
         ASSERT_TRUE(loader_->maps().Put(MapId::kPods, a_->netns.cookie(), bad).ok());
       }},
  };
  uint64_t repaired = 0;
  for (const auto& [what, damage] : damages) {
    damage();
    EXPECT_NE(Wait(Send(Request(cni::Command::kCheck, "uid-a", *a_), a_.get())).code, 0) << what;
    Reconcile();
    EXPECT_EQ(registry_->stats().repaired_total, ++repaired) << what;
    EXPECT_EQ(Wait(Send(Request(cni::Command::kCheck, "uid-a", *a_), a_.get())).code, 0) << what;
    EXPECT_EQ(InKernel(*a_)->fail_mode, HD_FAIL_CLOSED) << what;
    EXPECT_EQ(InKernel(*a_)->exclusion_set, good.exclusion_set) << what;
  }
  EXPECT_EQ(proxy_->captured_total, 1) << "what the proxy has was whole all the time";
}

TEST_F(PodRegistryTest, ExclusionsThatChangeLeaveNothingOfThoseBefore) {
  const auto settings = [](std::initializer_list<char> blocks, uint32_t bits) {
    node::v1::Interception made;
    for (const char block : blocks) {
      node::v1::Cidr& cidr = *made.add_excluded_inbound_cidrs();
      cidr.set_address(std::string{10, block, 0, 0});
      cidr.set_length(bits);
    }
    return made;
  };
  Bind("uid-a", "a", settings({1, 2, 3}, 16));
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  EXPECT_EQ(Entries(MapId::kExclCidr), 3u);
  Bind("uid-a", "a", settings({3, 4}, 16));
  registry_->StateChanged();
  EXPECT_EQ(Entries(MapId::kExclCidr), 2u);
  Bind("uid-a", "a", settings({3, 4}, 24));
  registry_->StateChanged();
  EXPECT_EQ(Entries(MapId::kExclCidr), 2u);
  Bind("uid-a", "a");
  registry_->StateChanged();
  EXPECT_EQ(Entries(MapId::kExclCidr), 0u);
  EXPECT_EQ(InKernel(*a_)->exclusion_set, 0u);
}

// With each endpoint that comes or goes every pod is asked: to write them all would hold up the loop.
TEST_F(PodRegistryTest, AStateWithoutChangesForAPodWritesNothing) {
  node::v1::Interception settings;
  settings.add_excluded_outbound_ports(25);
  Bind("uid-a", "a", settings);
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  pods_->Erase(a_->netns.cookie());
  Bind("uid-b", "b");
  registry_->StateChanged();
  EXPECT_FALSE(InKernel(*a_).has_value());
  settings.set_fail_mode(node::v1::OPEN);
  Bind("uid-a", "a", settings);
  registry_->StateChanged();
  ASSERT_TRUE(InKernel(*a_).has_value());
  EXPECT_EQ(InKernel(*a_)->fail_mode, HD_FAIL_OPEN);
}

node::v1::Interception Sources(uint8_t network, uint8_t blocks) {
  node::v1::Interception settings;
  for (uint8_t i = 0; i < blocks; ++i) {
    node::v1::Cidr* cidr = settings.add_excluded_inbound_cidrs();
    cidr->set_address(std::string({10, static_cast<char>(network), static_cast<char>(i), 0}));
    cidr->set_length(24);
  }
  return settings;
}

// Takes all the room that the kernel has for blocks.
std::vector<hd_excl_cidr_key> FillBlocks(const BpfMaps& maps) {
  std::vector<hd_excl_cidr_key> keys;
  for (uint32_t i = 0;; ++i) {
    hd_excl_cidr_key key{.prefixlen = 32 + 32, .exclusion_set = 0x7fffffff};
    memcpy(key.addr, &i, sizeof i);
    const absl::Status put = maps.Put(MapId::kExclCidr, key, hd_exclusion{});
    if (put.ok()) {
      keys.push_back(key);
      continue;
    }
    EXPECT_EQ(put.code(), absl::StatusCode::kResourceExhausted) << put;
    return keys;
  }
}

TEST_F(PodRegistryTest, ExclusionsThatFindNoRoomExcludeNothingAndTheRestIsApplied) {
  Bind("uid-a", "a", Sources(1, 2));
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  ASSERT_NE(InKernel(*a_)->exclusion_set, 0u);
  const std::vector<hd_excl_cidr_key> filled = FillBlocks(loader_->maps());
  node::v1::Interception wanted = Sources(2, 3);
  wanted.set_fail_mode(node::v1::OPEN);
  Bind("uid-a", "a", wanted);
  registry_->StateChanged();
  EXPECT_EQ(InKernel(*a_)->exclusion_set, 0u);
  EXPECT_EQ(InKernel(*a_)->fail_mode, HD_FAIL_OPEN);
  EXPECT_EQ(Entries(MapId::kExclCidr), filled.size());
  for (const hd_excl_cidr_key& key : filled) loader_->maps().Erase(MapId::kExclCidr, key);
  registry_->StateChanged();
  EXPECT_NE(InKernel(*a_)->exclusion_set, 0u);
  EXPECT_EQ(Entries(MapId::kExclCidr), 3u);
}

TEST_F(PodRegistryTest, ExclusionsTakeTheRoomOfThoseThatTheyReplaceWhenThereIsNoOther) {
  Bind("uid-a", "a", Sources(1, 2));
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  FillBlocks(loader_->maps());
  Bind("uid-a", "a", Sources(2, 2));
  registry_->StateChanged();
  const uint32_t set = InKernel(*a_)->exclusion_set;
  hd_excl_cidr_key key{.prefixlen = 32 + 96 + 24,
                       .exclusion_set = set | HD_EXCLUSION_SET_OF_SOURCES,
                       .addr = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 2, 1}};
  EXPECT_TRUE(loader_->maps().Find<hd_exclusion>(MapId::kExclCidr, key).has_value()) << set;
}

TEST_F(PodRegistryTest, APodWhoseExclusionsFindNoRoomDoesNotStart) {
  FillBlocks(loader_->maps());
  Bind("uid-a", "a", Sources(1, 1));
  const cni::Reply reply = Wait(Add("uid-a", *a_));
  EXPECT_NE(reply.code, 0);
  EXPECT_THAT(reply.msg, HasSubstr("hd_excl_cidr is full"));
  EXPECT_FALSE(InKernel(*a_).has_value());
}

TEST_F(PodRegistryTest, OfTwoAddsForOneNetnsAtTheSameTimeOneIsRefused) {
  Bind("uid-b", "b");
  proxy_->Hold();
  Scope scope(loop_);
  cni::Reply first, second;
  Start(scope, Add("uid-a", *a_), first, [&] { return proxy_->captured_total == 1; });
  Start(scope, Add("uid-b", *a_), second, [&] { return second.code != kUnanswered; });
  EXPECT_EQ(second.code, static_cast<int>(cni::ErrorCode::kBadEnvironment));
  EXPECT_THAT(second.msg, HasSubstr("uid-a"));
  proxy_->LetGo();
  Finish(scope);
  EXPECT_EQ(first.code, 0);
  EXPECT_EQ(pods_->Find(a_->netns.cookie())->uid, "uid-a");
  EXPECT_EQ(registry_->List().size(), 1u);
}

TEST_F(PodRegistryTest, AnotherPodsNetnsIsRefused) {
  Bind("uid-b", "b");
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  const cni::Reply reply = Wait(Add("uid-b", *a_));
  EXPECT_EQ(reply.code, static_cast<int>(cni::ErrorCode::kBadEnvironment));
  EXPECT_THAT(reply.msg, HasSubstr("shop/a"));
  EXPECT_TRUE(proxy_->Serves("uid-a"));
}

TEST_F(PodRegistryTest, ABrokenCaptureIsCapturedAgainInPlace) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  const uint64_t since = CapturedSince(*a_);
  proxy_->LoseListener("uid-a", ListenerRole::kOutbound);
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  ASSERT_TRUE(at_release_.has_value());
  EXPECT_EQ(at_release_->state, HD_POD_CAPTURING);
  EXPECT_EQ(CapturedSince(*a_), since) << "the record must not go while the netns stays";
  EXPECT_TRUE(RedirectsConnects(*a_));
  ASSERT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, AnAddThatFailsOnACapturedPodLeavesItCaptured) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  proxy_->LoseListener("uid-a", ListenerRole::kInboundHbone);
  UniqueFd intruder;
  a_->netns.Run([&] { intruder = Listen(kInboundHbonePort).socket; });
  Reconcile();
  // With a port of ours taken it looks whole; the container of the next ADD is another one.
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  request.container_id = "another";
  EXPECT_NE(Wait(Send(request, a_.get())).code, 0);
  EXPECT_EQ(InKernel(*a_)->state, HD_POD_CAPTURING);
  EXPECT_EQ(AppConnect(*a_, {outside_->v4, 8080}).error, ECONNREFUSED);
  EXPECT_EQ(registry_->List().size(), 1u);
  intruder.Reset();
  Reconcile();
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(registry_->List().at(0).record.container_id, "another");
}

TEST_F(PodRegistryTest, AnAddressThatCameWithAnotherInterfaceIsThePodsOwn) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  a_->netns.Shell("ip addr add 10.99.0.7/24 dev eth0");
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  request.ifname = "net1";
  request.ips = {"10.99.0.7"};
  ASSERT_EQ(Wait(Send(request, a_.get())).code, 0);
  const auto& own = proxy_->Pod("uid-a").addresses;
  EXPECT_THAT(own, testing::Contains(Ip("10.99.0.7")));
  EXPECT_THAT(Listed(*pods_, a_->netns.cookie()).addresses, testing::Contains(Ip("10.99.0.7")));
  request.command = cni::Command::kDel;
  ASSERT_EQ(Wait(Send(request, nullptr)).code, 0);
  EXPECT_TRUE(proxy_->Serves("uid-a")) << "the DEL of a second interface releases nothing";
}

TEST_F(PodRegistryTest, ANewSandboxTakesThePlaceOfTheOldOne) {
  auto next = MakePod("next", 2);
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  ASSERT_EQ(Wait(Add("uid-a", *next)).code, 0);
  EXPECT_FALSE(InKernel(*a_).has_value());
  EXPECT_TRUE(RedirectsConnects(*next));
  EXPECT_THAT(links_->List(), ElementsAre(next->netns.cookie()));
  ASSERT_EQ(Wait(Del("uid-a", *next)).code, 0);
  ExpectNothingLeft(*next);
}

TEST_F(PodRegistryTest, DelWaitsForACommandUnderWayAndThenReleases) {
  proxy_->Hold();
  Scope scope(loop_);
  cni::Reply added, deleted;
  Start(scope, Add("uid-a", *a_), added, [&] { return proxy_->captured_total == 1; });
  Start(scope, Del("uid-a", *a_), deleted, [] { return true; });
  for (int i = 0; i < 3; ++i) loop_.Turn(clock_.Monotonic());
  EXPECT_EQ(deleted.code, kUnanswered);
  proxy_->LetGo();
  Finish(scope);
  EXPECT_EQ(added.code, 0);
  EXPECT_EQ(deleted.code, 0);
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, DelThatCannotWaitAnyLongerAsksToBeTriedAgain) {
  proxy_->Hold();
  Scope scope(loop_);
  StopSource patience;
  cni::Reply added, deleted;
  Start(scope, Add("uid-a", *a_), added, [&] { return proxy_->captured_total == 1; });
  Start(scope, Del("uid-a", *a_, patience.token()), deleted, [] { return true; });
  patience.RequestStop(StopReason::kDeadline);
  TurnUntil([&] { return deleted.code != kUnanswered; });
  EXPECT_EQ(deleted.code, static_cast<int>(cni::ErrorCode::kTryAgainLater));
  proxy_->LetGo();
  Finish(scope);
  EXPECT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, CheckWaitsForACommandUnderWay) {
  proxy_->Hold();
  Scope scope(loop_);
  cni::Reply added, checked;
  Start(scope, Add("uid-a", *a_), added, [&] { return proxy_->captured_total == 1; });
  Start(scope, Send(Request(cni::Command::kCheck, "uid-a", *a_), a_.get()), checked,
        [] { return true; });
  EXPECT_EQ(checked.code, kUnanswered);
  proxy_->LetGo();
  Finish(scope);
  EXPECT_EQ(checked.code, 0) << checked.msg;
}

TEST_F(PodRegistryTest, GarbageCollectionReleasesWhatIsNotToStay) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  cni::Request request{.command = cni::Command::kGc, .network = "pods"};
  request.attachments = {{.container_id = "container-uid-a", .ifname = "eth0"}};
  ASSERT_EQ(Wait(Send(request, nullptr)).code, 0);
  EXPECT_TRUE(proxy_->Serves("uid-a"));
  request.attachments = {};
  ASSERT_EQ(Wait(Send(request, nullptr)).code, 0);
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, GarbageCollectionKeepsWhatWasCapturedAnewMeanwhile) {
  const auto b = MakePod("b", 2);
  Bind("uid-b", "b");
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  ASSERT_EQ(Wait(Add("uid-b", *b)).code, 0);
  proxy_->HoldNextRelease();
  Scope scope(loop_);
  cni::Reply collected;
  Start(scope, Send({.command = cni::Command::kGc, .network = "pods"}, nullptr), collected,
        [&] { return !proxy_->Serves("uid-a") || !proxy_->Serves("uid-b"); });
  const bool a_first = !proxy_->Serves("uid-a");
  const std::string uid = a_first ? "uid-b" : "uid-a";
  const Pod& pod = a_first ? *b : *a_;
  cni::Request again = Request(cni::Command::kAdd, uid, pod);
  again.container_id = "container-new";
  ASSERT_EQ(Wait(Send(again, &pod)).code, 0);
  proxy_->LetGo();
  Finish(scope);
  EXPECT_EQ(collected.code, 0);
  EXPECT_TRUE(proxy_->Serves(uid));
  EXPECT_TRUE(InKernel(pod).has_value());
  EXPECT_FALSE(InKernel(a_first ? *a_ : *b).has_value());
}

TEST_F(PodRegistryTest, AnAddThatFailsLeavesNothing) {
  node::v1::Interception settings;
  settings.add_excluded_outbound_ports(25);
  Bind("uid-a", "a", settings);
  a_->netns.Shell("sysctl -qw net.ipv4.tcp_tw_reuse=2");
  const std::string link = loader_->pins().NetnsLinkPath(a_->netns.cookie());
  UniqueFd intruder;
  struct Obstacle {
    const char* what;
    std::function<void()> make, remove;
  };
  const Obstacle obstacles[] = {
      {"no place for the link", [&] { fs::create_directory(link); }, [&] { fs::remove(link); }},
      {"a port of ours is taken",
       [&] { a_->netns.Run([&] { intruder = Listen(kInboundPlaintextPort).socket; }); },
       [&] { intruder.Reset(); }}};
  for (const auto& [what, make, remove] : obstacles) {
    make();
    EXPECT_NE(Wait(Add("uid-a", *a_)).code, 0) << what;
    EXPECT_FALSE(proxy_->Serves("uid-a")) << what;
    EXPECT_EQ(RecordFiles(), 0u) << what;
    for (const MapId id : {MapId::kPods, MapId::kPodIp, MapId::kPodStats, MapId::kExclPort})
      EXPECT_EQ(Entries(id), 0u) << what;
    a_->netns.Shell(
        "test $(sysctl -n net.ipv4.tcp_tw_reuse) = 2 && "
        "test $(sysctl -n net.ipv4.tcp_fwmark_accept) = 0 && "
        "test -z \"$(ip rule list priority 32764)\"");
    EXPECT_EQ(registry_->List().size(), 0u) << what;
    remove();
  }
  EXPECT_EQ(Wait(Add("uid-a", *a_)).code, 0);
}

TEST_F(PodRegistryTest, TheNextAgentServesItsPodsAgain) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  const uint64_t since = CapturedSince(*a_);
  EndRegistry();
  EXPECT_EQ(AppConnect(*a_, {outside_->v4, 8080}).error, ECONNREFUSED);
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  EXPECT_TRUE(RedirectsConnects(*a_));
  EXPECT_EQ(CapturedSince(*a_), since);
  ASSERT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  ExpectNothingLeft(*a_);
}

// The kernel uses inode numbers again, cookies never.
TEST_F(PodRegistryTest, ANetnsWithAnotherCookieIsNotTheRecordedPods) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  CaptureRecord record = registry_->List().at(0).record;
  ASSERT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  EndRegistry();
  record.netns_cookie = 4'000'000'001;
  ASSERT_TRUE(records_->Save(record).ok());
  ASSERT_TRUE(pods_
                  ->Put({.netns_cookie = record.netns_cookie,
                         .netns_ino = record.netns.inode,
                         .addresses = {Ip("10.1.1.1")},
                         .uid = record.uid})
                  .ok());
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  EXPECT_THAT(registry_->List(), IsEmpty());
  ExpectNothingLeft(*a_);
}

TEST_F(PodRegistryTest, APodThatCannotBeAdoptedStaysCapturedAndIsTriedAgain) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  EndRegistry();
  pods_->Erase(a_->netns.cookie());  // Even if somebody took the record away meanwhile.
  UniqueFd intruder;
  a_->netns.Run([&] { intruder = Listen(kInboundHbonePort).socket; });
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  EXPECT_EQ(registry_->stats().gaps, 1u);
  EXPECT_FALSE(registry_->List().at(0).captured);
  EXPECT_EQ(AppConnect(*a_, {outside_->v4, 8080}).error, ECONNREFUSED);
  Bind("uid-b", "b");
  EXPECT_EQ(Wait(Add("uid-b", *a_)).code, static_cast<int>(cni::ErrorCode::kBadEnvironment));
  intruder.Reset();
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_TRUE(RedirectsConnects(*a_));
}

TEST_F(PodRegistryTest, DelOfAPodThatCouldNotBeAdoptedLeavesNothing) {
  ASSERT_EQ(Wait(Add("uid-a", *a_)).code, 0);
  EndRegistry();
  UniqueFd intruder;
  a_->netns.Run([&] { intruder = Listen(kInboundHbonePort).socket; });
  StartRegistry();
  loop_.RunUntilDone(registry_->AdoptAll());
  ASSERT_EQ(Wait(Del("uid-a", *a_)).code, 0);
  EXPECT_THAT(registry_->List(), IsEmpty());
  ExpectNothingLeft(*a_);
}

// Its netns path names nothing any more: DEL or no DEL.
TEST_F(PodRegistryTest, APodWhoseNetnsIsGoneIsLetGo) {
  const std::string path = absl::StrCat(Records(), "/netns");
  fs::create_symlink(a_->netns.path(), path);
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  request.netns = path;
  ASSERT_EQ(Wait(Send(request, a_.get())).code, 0);
  Reconcile();
  EXPECT_TRUE(proxy_->Serves("uid-a"));
  fs::remove(path);
  Reconcile();
  EXPECT_FALSE(proxy_->Serves("uid-a"));
  ExpectNothingLeft(*a_);
}

// Its DEL was lost, and another pod has its address when it is let go: that one keeps it.
TEST_F(PodRegistryTest, AnAddressThatIsInUseAgainStaysTheHeirs) {
  const std::string path = absl::StrCat(Records(), "/netns");
  fs::create_symlink(a_->netns.path(), path);
  cni::Request request = Request(cni::Command::kAdd, "uid-a", *a_);
  request.netns = path;
  ASSERT_EQ(Wait(Send(request, a_.get())).code, 0);

  auto heir = MakePod("heir", 2);
  heir->v4 = a_->v4;
  heir->netns.Shell(absl::StrCat("ip addr add ", heir->v4.ToString(), "/32 dev eth0"));
  Bind("uid-b", "b");
  ASSERT_EQ(Wait(Add("uid-b", *heir)).code, 0);
  const auto leads_to = [&] {
    return loader_->maps().Find<hd_pod_ref>(MapId::kPodIp, KeyOf(heir->v4)).value_or(hd_pod_ref{});
  };
  EXPECT_EQ(leads_to().netns_cookie, heir->netns.cookie());

  node::v1::Interception settings;
  settings.set_fail_mode(node::v1::OPEN);
  Bind("uid-a", "a", settings);
  registry_->StateChanged();
  EXPECT_EQ(InKernel(*a_)->fail_mode, HD_FAIL_OPEN);
  EXPECT_EQ(leads_to().netns_cookie, heir->netns.cookie());

  fs::remove(path);
  Reconcile();
  EXPECT_FALSE(InKernel(*a_).has_value());
  EXPECT_EQ(leads_to().netns_cookie, heir->netns.cookie());
  EXPECT_EQ(registry_->stats().repaired_total, 0u);
  ASSERT_EQ(Wait(Del("uid-b", *heir)).code, 0);
  ExpectNothingLeft(*heir);
}

TEST_F(PodRegistryTest, ARecordOfTheKernelThatNobodyOwnsIsAGapUntilItsNetnsIsGone) {
  auto lost = MakePod("lost", 2);
  Capture(*lost);
  Reconcile();
  EXPECT_EQ(registry_->stats().gaps, 1u);
  EXPECT_TRUE(InKernel(*lost).has_value());
  const uint64_t cookie = lost->netns.cookie();
  lost.reset();
  EXPECT_TRUE(Eventually([&] {
    Reconcile();
    return !pods_->Find(cookie).has_value();
  }));
  EXPECT_EQ(registry_->stats().gaps, 0u);
  EXPECT_THAT(links_->List(), IsEmpty());
}

}  // namespace
}  // namespace heddle::agent
