#include "cli/preflight/node_checks.h"

#include <gmock/gmock.h>

namespace heddle::cli {
namespace {

using testing::HasSubstr;

constexpr char kUnified[] =
    "31 24 0:26 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 "
    "rw,nsdelegate,memory_recursiveprot\n"
    "36 35 98:0 /mnt1 /mnt2 rw,noatime - ext3 /dev/root rw,errors=continue\n";
constexpr char kHybrid[] =
    "32 31 0:28 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
    "33 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n";
constexpr char kPartial[] = "31 24 0:26 /../.. /sys/fs/cgroup rw - cgroup2 cgroup rw\n";

TEST(ParseMounts, ReadsWhatItKnowsAndPassesOverTheRest) {
  EXPECT_EQ(ParseMounts(kUnified).at(0),
            (Mount{"/", "/sys/fs/cgroup", "cgroup2", "rw,nsdelegate,memory_recursiveprot"}));
  EXPECT_EQ(ParseMounts(kUnified).at(1).root, "/mnt1");
  EXPECT_TRUE(ParseMounts("").empty());
  EXPECT_TRUE(ParseMounts("1 2 3 - \n - \nx - y z w\n").empty());
}

TEST(JudgeCgroups, SaysWhichOneAndWhatIsWrongWithIt) {
  const struct {
    const char* mounts;
    const char* chosen;
    bool initial;
    Verdict verdict;
    const char* says;
    const char* advice;
  } cases[] = {
      {kUnified, "", true, Verdict::kOk, "at /sys/fs/cgroup, nsdelegate", ""},
      {kHybrid, "", true, Verdict::kWarning, "beside hierarchies of version 1",
       "agent.host.cgroup=/sys/fs/cgroup/unified"},
      {kUnified, "", false, Verdict::kWarning, "not its real root", "on the node"},
      {kPartial, "", true, Verdict::kWarning, "not its real root", "on the node"},
      {kUnified, "/elsewhere", true, Verdict::kFailed, "no cgroup2 at /elsewhere",
       "mount -t cgroup2"},
      {"", "", true, Verdict::kFailed, "no cgroup2 is mounted", "mount -t cgroup2"},
  };
  for (const auto& c : cases) {
    const Finding finding = JudgeCgroups({ParseMounts(c.mounts), c.chosen, c.initial});
    EXPECT_EQ(finding.verdict, c.verdict) << finding.sentence;
    EXPECT_THAT(finding.sentence, HasSubstr(c.says));
    EXPECT_THAT(finding.advice, HasSubstr(c.advice));
  }
}

TEST(JudgeTrial, CarriesWhatTheKernelSaid) {
  const Trial trial{.check = "t", .works = "it works", .advice = "do this"};
  EXPECT_EQ(JudgeTrial(trial, absl::OkStatus()), (Finding{"t", Verdict::kOk, "it works", ""}));
  EXPECT_EQ(JudgeTrial(trial, absl::InternalError("verifier: no")),
            (Finding{"t", Verdict::kFailed, "verifier: no", "do this"}));
}

TEST(ParseListeners, ReadsPortsOfBothFamiliesThatListen) {
  constexpr char kTable[] =
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout "
      "inode\n"
      "   0: 0100007F:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 "
      "4711 1\n"
      "   1: 0100007F:1F90 0100007F:3A98 01 00000000:00000000 00:00000000 00000000     0        0 "
      "4712 1\n"
      "   2: 00000000000000000000000000000000:3AA0 00000000000000000000000000000000:0000 0A 0:0 "
      "0:0 0 0 0 9 1\n"
      "   3: nonsense\n";
  EXPECT_EQ(ParseListeners(kTable), (std::vector<Listener>{{15000, 4711, ""}, {15008, 9, ""}}));
}

TEST(JudgePorts, TellsTheAgentsOwnFromThoseOfPodsAndFromItself) {
  const struct {
    Listener listener;
    Verdict verdict;
  } cases[] = {
      {{15021, 1, "envoy"}, Verdict::kFailed},    {{15020, 1, ""}, Verdict::kFailed},
      {{15008, 1, "ztunnel"}, Verdict::kWarning}, {{15021, 1, "heddle-agent"}, Verdict::kOk},
      {{8080, 1, "app"}, Verdict::kOk},
  };
  for (const auto& c : cases) {
    const std::vector<Finding> findings = JudgePorts({c.listener, c.listener});
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].verdict, c.verdict) << c.listener.port;
    if (c.verdict != Verdict::kOk) EXPECT_THAT(findings[0].sentence, HasSubstr(c.listener.program));
  }
}

TEST(JudgeForeignPrograms, SaysWhatEachKindDoesToTheMesh) {
  EXPECT_EQ(JudgeForeignPrograms({}).verdict, Verdict::kOk);
  const Finding balancer =
      JudgeForeignPrograms({{"connect4", "cil_sock4_conn", 7}, {"bind4", "", 8}});
  EXPECT_EQ(balancer.verdict, Verdict::kWarning);
  EXPECT_THAT(balancer.sentence, HasSubstr("cil_sock4_conn at connect4, unnamed at bind4"));
  EXPECT_THAT(balancer.advice, HasSubstr("socketLB"));
  EXPECT_THAT(JudgeForeignPrograms({{"sock_ops", "beyla", 7}}).advice, HasSubstr("socket maps"));
}

std::vector<Finding> Cni(std::vector<NamedText> files) {
  return JudgeCni({.conf_dir = "/etc/cni/net.d", .files = std::move(files), .has_bin_dir = true});
}

TEST(JudgeCni, LooksAtTheFileThatTheRuntimeUses) {
  const NamedText bridge{
      "10-pods.conflist",
      R"({"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "bridge"}]})"};
  const NamedText istio{
      "05-mesh.conflist",
      R"({"cniVersion": "1.0.0", "name": "m", "plugins": [{"type": "bridge"}, {"type": "istio-cni"}]})"};
  const std::vector<Finding> fine = Cni({bridge});
  ASSERT_EQ(fine.size(), 1u);
  EXPECT_EQ(fine[0].verdict, Verdict::kOk);
  EXPECT_THAT(fine[0].sentence, HasSubstr("/etc/cni/net.d/10-pods.conflist: bridge"));

  const std::vector<Finding> other = Cni({istio, bridge});
  ASSERT_EQ(other.size(), 2u);
  EXPECT_EQ(other[1].verdict, Verdict::kFailed);
  EXPECT_THAT(other[1].sentence, HasSubstr("istio-cni"));

  EXPECT_EQ(Cni({}).at(0).verdict, Verdict::kFailed);
  EXPECT_EQ(Cni({{"README", "no configuration"}}).at(0).verdict, Verdict::kFailed);
  EXPECT_EQ(Cni({{"05-broken.conflist", "{"}, bridge}).at(0).verdict, Verdict::kOk);
}

TEST(JudgeCni, SaysWhenAFolderIsNotThere) {
  const std::vector<Finding> findings =
      JudgeCni({.conf_dir = "/c", .trouble = "cannot read /c", .bin_dir = "/b"});
  ASSERT_EQ(findings.size(), 2u);
  EXPECT_EQ(findings[0].sentence, "cannot read /c");
  EXPECT_THAT(findings[1].sentence, HasSubstr("no folder /b"));
}

TEST(JudgeIoUring, IsNeverMoreThanAWarning) {
  EXPECT_EQ(JudgeIoUring({}).verdict, Verdict::kOk);
  const Finding off = JudgeIoUring({.trouble = "EPERM", .disabled = "2"});
  EXPECT_EQ(off.verdict, Verdict::kWarning);
  EXPECT_THAT(off.sentence, HasSubstr("kernel.io_uring_disabled is 2"));
}

TEST(Findings, AreATableForPeopleAndJsonForPrograms) {
  const std::vector<Finding> findings = {{"a", Verdict::kOk, "fine", ""},
                                         {"longer", Verdict::kFailed, "not\nfine", "do this"}};
  EXPECT_EQ(FindingsTable(findings),
            "ok       a       fine\n"
            "failed   longer  not?fine\n"
            "                 -> do this\n"
            "1 ok, 0 warnings, 1 failed, 0 skipped\n");
  EXPECT_THAT(FindingsJson(findings), HasSubstr(R"("ok": false)"));
  EXPECT_TRUE(AllWell({findings[0], {"b", Verdict::kWarning, "", ""}}));
}

}  // namespace
}  // namespace heddle::cli
