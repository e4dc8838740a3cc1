#include <bpf/bpf.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "tests/bpf/node.h"

namespace heddle::agent {
namespace {

using LoaderTest = NodeTest;

uint32_t MapKernelId(const std::string& path) {
  const UniqueFd map(bpf_obj_get(path.c_str()));
  bpf_map_info info{};
  uint32_t size = sizeof info;
  EXPECT_EQ(bpf_obj_get_info_by_fd(map.get(), &info, &size), 0) << path;
  return info.id;
}

bpf_link_info LinkInfo(const std::string& path) {
  const UniqueFd link(bpf_obj_get(path.c_str()));
  bpf_link_info info{};
  uint32_t size = sizeof info;
  EXPECT_EQ(bpf_obj_get_info_by_fd(link.get(), &info, &size), 0) << path;
  return info;
}

TEST_F(LoaderTest, PinsEveryMapAndAttachesEveryHook) {
  StartAgent();
  for (const char* map : kMapNames) EXPECT_NE(MapKernelId(loader_->pins().MapPath(map)), 0u) << map;
  for (const char* program :
       {"hd_connect4", "hd_connect6", "hd_getpeername4", "hd_getpeername6", "hd_bind4", "hd_bind6",
        "hd_sockops", "hd_sock_create", "hd_sock_release", "hd_egress"}) {
    EXPECT_EQ(LinkInfo(loader_->pins().LinkPath(program)).cgroup.cgroup_id, place_.root_id)
        << program;
  }
  EXPECT_EQ(loader_->settings().Read().schema_version, HD_SCHEMA_VERSION);
}

TEST_F(LoaderTest, AdoptsPinsWithTheirEntriesAndPutsItsProgramsIntoTheLinks) {
  StartAgent();
  ASSERT_TRUE(pods_->Put(outside_->record).ok());
  const std::string path = loader_->pins().LinkPath("hd_connect4");
  const bpf_link_info before = LinkInfo(path);
  const uint32_t map_before = MapKernelId(loader_->pins().MapPath("hd_pods"));
  StopAgent();
  StartAgent();
  EXPECT_EQ(LinkInfo(path).id, before.id);
  EXPECT_NE(LinkInfo(path).prog_id, before.prog_id);
  EXPECT_EQ(MapKernelId(loader_->pins().MapPath("hd_pods")), map_before);
  ASSERT_TRUE(pods_->Find(outside_->netns.cookie()).has_value());
  EXPECT_EQ(pods_->Find(outside_->netns.cookie())->uid, "uid-outside");
}

TEST_F(LoaderTest, RefusesPinsOfAnotherSchemaVersion) {
  StartAgent();
  hd_cfg cfg = loader_->settings().Read();
  cfg.schema_version = HD_SCHEMA_VERSION + 1;
  ASSERT_TRUE(loader_->maps().Put(MapId::kCfg, uint32_t{0}, cfg).ok());
  StopAgent();
  const auto loader = BpfLoader::Load(options_);
  ASSERT_FALSE(loader.ok());
  EXPECT_NE(loader.status().message().find("heddlectl purge"), absl::string_view::npos)
      << loader.status();
  EXPECT_TRUE(std::filesystem::exists(options_.pin_dir + "/links/hd_connect4"))
      << "what was there must stay";
}

// The directory carries the number of the schema: after a rollback the newer one's pins are beside ours.
TEST_F(LoaderTest, RefusesToStartBesidePinsOfAnotherVersionAndLeavesThemAttached) {
  BpfLoaderOptions newer = options_;
  newer.pin_dir += "/v2";
  BpfLoaderOptions older = options_;
  older.pin_dir += "/v1";
  ASSERT_TRUE(BpfLoader::Load(newer).ok());
  const std::string link = newer.pin_dir + "/links/hd_connect4";
  const bpf_link_info before = LinkInfo(link);
  const auto refused = BpfLoader::Load(older);
  ASSERT_FALSE(refused.ok());
  EXPECT_NE(refused.status().message().find(newer.pin_dir), absl::string_view::npos)
      << refused.status();
  EXPECT_NE(refused.status().message().find("heddlectl purge"), absl::string_view::npos);
  EXPECT_FALSE(std::filesystem::exists(older.pin_dir));
  EXPECT_EQ(LinkInfo(link).prog_id, before.prog_id);
  EXPECT_TRUE(BpfLoader::Load(newer).ok()) << "whoever made them is taken back";
  ASSERT_TRUE(BpfLoader::Purge(newer.pin_dir).ok());
  EXPECT_TRUE(BpfLoader::Load(older).ok());
  ASSERT_TRUE(BpfLoader::Purge(older.pin_dir).ok());
}

TEST_F(LoaderTest, RefusesADirectoryThatIsNotCgroup2AndLeavesNothingBehind) {
  BpfLoaderOptions options = options_;
  options.cgroup = "/tmp";
  const auto loader = BpfLoader::Load(options);
  ASSERT_FALSE(loader.ok());
  EXPECT_NE(loader.status().message().find("cgroup2"), absl::string_view::npos) << loader.status();
  EXPECT_FALSE(std::filesystem::exists(options_.pin_dir + "/maps"));
}

TEST_F(LoaderTest, RepairsDetachedAndUnpinnedLinksAndNamesThem) {
  StartAgent();
  EXPECT_TRUE(loader_->Repair()->empty());
  const std::string detached = loader_->pins().LinkPath("hd_connect6");
  const std::string unpinned = loader_->pins().LinkPath("hd_sockops");
  ASSERT_EQ(bpf_link_detach(UniqueFd(bpf_obj_get(detached.c_str())).get()), 0);
  ASSERT_EQ(unlink(unpinned.c_str()), 0);
  const auto repaired = loader_->Repair();
  ASSERT_TRUE(repaired.ok()) << repaired.status();
  EXPECT_EQ(*repaired, (std::vector<std::string>{"hd_sockops", "hd_connect6"}));
  EXPECT_EQ(LinkInfo(detached).cgroup.cgroup_id, place_.root_id);
  EXPECT_EQ(LinkInfo(unpinned).cgroup.cgroup_id, place_.root_id);
  EXPECT_TRUE(loader_->Repair()->empty());
}

// A pinned link outlives its cgroup: the next agent must not take the pin for the attachment.
TEST_F(LoaderTest, AttachesAgainWhenThePinnedLinksCgroupIsGone) {
  MakeCgroup("short-lived");
  BpfLoaderOptions options = options_;
  options.cgroup = CgroupPath("short-lived");
  ASSERT_TRUE(BpfLoader::Load(options).ok());
  ASSERT_EQ(rmdir(options.cgroup.c_str()), 0);
  StartAgent();
  EXPECT_EQ(LinkInfo(loader_->pins().LinkPath("hd_connect4")).cgroup.cgroup_id, place_.root_id);
}

TEST_F(LoaderTest, PurgeDetachesAndIsNoErrorTwice) {
  StartAgent();
  auto pod = MakePod("a", 1);
  Capture(*pod);
  const Answer server = RunAs("system", &outside_->netns, [] { return Listen(8080); });
  StopAgent();
  ASSERT_TRUE(BpfLoader::Purge(options_.pin_dir).ok());
  ASSERT_TRUE(BpfLoader::Purge(options_.pin_dir).ok());
  const Answer client = AppConnect(*pod, {outside_->v4, 8080});
  EXPECT_EQ(client.error, 0);
  EXPECT_TRUE(Accept(server.socket.get()).has_value());
}

TEST_F(LoaderTest, LearnsItsCgroupFromTheKernel) {
  struct stat leaf{};
  ASSERT_EQ(stat(absl::StrCat(options_.cgroup, "/agent.", getpid()).c_str(), &leaf), 0);
  EXPECT_EQ(place_.id, leaf.st_ino);
  EXPECT_NE(place_.id, place_.root_id);
  EXPECT_EQ(place_.root_level, 1u);
  const auto elsewhere = LocateOwnCgroup(CgroupPath("kubepods"));
  EXPECT_FALSE(elsewhere.ok());
}

TEST_F(LoaderTest, ProbeRuleNamesTheCgroupByIdAndDepth) {
  const auto rule = MakeProbeRule(HD_PROBE_OUTSIDE, options_.cgroup, place_, "kubepods/a");
  ASSERT_TRUE(rule.ok());
  struct stat info{};
  ASSERT_EQ(stat(CgroupPath("kubepods/a").c_str(), &info), 0);
  EXPECT_EQ(rule->cgroup_id, info.st_ino);
  EXPECT_EQ(rule->cgroup_level, 3u);
  EXPECT_EQ(MakeProbeRule(HD_PROBE_OUTSIDE, options_.cgroup, place_, "not-there")->cgroup_id, 0u);
  MakeCgroup("pods.slice");
  ASSERT_EQ(stat(CgroupPath("pods.slice").c_str(), &info), 0);
  EXPECT_EQ(MakeProbeRule(HD_PROBE_OUTSIDE, options_.cgroup, place_, "pods")->cgroup_id, info.st_ino);
  EXPECT_FALSE(MakeProbeRule(HD_PROBE_INSIDE, options_.cgroup, place_, "../elsewhere").ok());
}

TEST_F(LoaderTest, RegistryForgetsAgentsThatAreDead) {
  StartAgent();
  const pid_t child = fork();
  if (child == 0) _exit(0);
  waitpid(child, nullptr, 0);
  ASSERT_TRUE(loader_->maps()
                  .Put(MapId::kProxies, uint64_t{7},
                       hd_proxy{.started_ticks = 1, .pid = static_cast<__u32>(child)})
                  .ok());
  ASSERT_TRUE(ProxyRegistry(loader_->maps()).RegisterSelf(place_.id, "test").ok());
  EXPECT_EQ(loader_->maps().Keys<uint64_t>(MapId::kProxies), std::vector<uint64_t>{place_.id});
}

TEST_F(LoaderTest, AnAddressThatMovedToAnotherPodSurvivesItsFormerOwner) {
  StartAgent();
  PodRecord first{
      .netns_cookie = 1001, .addresses = {Ip("10.1.1.1"), Ip("fd00::1")}, .uid = "first"};
  PodRecord second{.netns_cookie = 1002, .addresses = {Ip("10.1.1.1")}, .uid = "second"};
  ASSERT_TRUE(pods_->Put(first).ok());
  ASSERT_TRUE(pods_->Put(second).ok());
  pods_->Erase(1001);
  EXPECT_EQ(Listed(*pods_, 1002).addresses, std::vector<io::IpAddress>{Ip("10.1.1.1")});
  EXPECT_EQ(Entries(MapId::kPodIp), 1u);
  pods_->Erase(1002);
  for (MapId id : {MapId::kPods, MapId::kPodIp, MapId::kPodStats}) EXPECT_EQ(Entries(id), 0u);
}

TEST_F(LoaderTest, ExclusionSetsAreErasedWithTheirRulesAndAfterACrash) {
  StartAgent();
  const Exclusions some{.outbound_ports = {25, 465},
                        .inbound_ports = {9090},
                        .outbound_prefixes = {*io::IpPrefix::Parse("10.0.0.0/8")},
                        .inbound_prefixes = {*io::IpPrefix::Parse("10.0.0.0/8")}};
  const uint32_t used = *pods_->PutExclusions(some);
  const uint32_t orphan = *pods_->PutExclusions(some);
  EXPECT_NE(used, orphan);
  ASSERT_TRUE(
      pods_->Put({.netns_cookie = 1001, .exclusion_set = used, .addresses = {Ip("10.1.1.1")}})
          .ok());
  EXPECT_EQ(Entries(MapId::kExclPort), 6u);
  EXPECT_EQ(Entries(MapId::kExclCidr), 4u);
  StopAgent();
  StartAgent();
  EXPECT_EQ(Entries(MapId::kExclPort), 3u);
  EXPECT_EQ(Entries(MapId::kExclCidr), 2u);
  EXPECT_NE(*pods_->PutExclusions(some), used);
  pods_->EraseExclusions(used);
  EXPECT_EQ(Entries(MapId::kExclPort), 3u);
  EXPECT_EQ(Entries(MapId::kExclCidr), 2u);
}

TEST_F(LoaderTest, LookupLinkOfADeadNetnsIsNotTakenForAttached) {
  StartAgent();
  const uint64_t cookie = 1003;
  uint64_t ino = 0;
  {
    Netns gone;
    ino = gone.ino();
    ASSERT_TRUE(links_->Attach(cookie, gone.fd()).ok());
    EXPECT_TRUE(links_->IsAttached(cookie, ino));
    EXPECT_FALSE(links_->IsAttached(cookie, ino + 1));
    const uint32_t program = LinkInfo(loader_->pins().NetnsLinkPath(cookie)).prog_id;
    ASSERT_TRUE(links_->Attach(cookie, gone.fd())
                    .ok());  // As after a restart: the same link, a new program.
    EXPECT_NE(LinkInfo(loader_->pins().NetnsLinkPath(cookie)).prog_id, program);
  }
  // The kernel frees a netns some time after its last user is gone.
  EXPECT_TRUE(Eventually([&] { return !links_->IsAttached(cookie, ino); }));
  EXPECT_EQ(links_->List(), std::vector<uint64_t>{cookie});
  Netns next;
  ASSERT_TRUE(links_->Attach(cookie, next.fd()).ok());
  EXPECT_TRUE(links_->IsAttached(cookie, next.ino()));
  ASSERT_TRUE(links_->Detach(cookie).ok());
  ASSERT_TRUE(links_->Detach(cookie).ok());
  EXPECT_TRUE(links_->List().empty());
}

}  // namespace
}  // namespace heddle::agent
