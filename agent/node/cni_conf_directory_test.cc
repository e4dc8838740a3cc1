#include "agent/node/cni_conf_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "agent/node/cni_paths.h"
#include "lib/base/testing/temporary_directory.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const CniEntry kEntry{.run_dir = "/run/heddle", .exempt_namespaces = {"kube-system"}};
constexpr char kList[] = R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]})";
constexpr char kSingle[] = R"({"cniVersion":"1.0.0","name":"a","type":"bridge"})";

class CniConfDirectory : public testing::Test {
 protected:
  CniConfReport Install(CniMode mode = CniMode::kRepair) const {
    return InstallCniEntry(directory_.path(), kEntry, mode);
  }
  bool HasEntry(std::string_view name) const {
    return directory_.Read(name).contains(kCniPluginName);
  }
  std::vector<std::string> Names() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(directory_.path()))
      names.push_back(entry.path().filename());
    std::ranges::sort(names);
    return names;
  }

  const TemporaryDirectory directory_;
};

TEST_F(CniConfDirectory, ChangesTheFirstValidFileAndKeepsItsMode) {
  directory_.Write("00-readme.txt", "hello");
  directory_.Write("05-half.conflist", "{");
  directory_.Write("10-a.conflist", kList, 0640);
  directory_.Write("20-b.conflist", kList);
  const CniConfReport report = Install();
  EXPECT_TRUE(report.installed && report.written) << report.pending;
  EXPECT_EQ(report.file, "10-a.conflist");
  EXPECT_THAT(report.skipped, testing::ElementsAre("05-half.conflist is not JSON"));
  EXPECT_TRUE(HasEntry("10-a.conflist"));
  EXPECT_EQ(directory_.ModeOf("10-a.conflist"), 0640u);
  EXPECT_EQ(directory_.Read("20-b.conflist"), kList);
  EXPECT_EQ(Names().size(), 4u);
}

TEST_F(CniConfDirectory, WritesNothingWhenTheEntryIsThere) {
  directory_.Write("10-a.conflist", kList);
  Install();
  struct stat before{};
  ASSERT_EQ(::stat((directory_ / "10-a.conflist").c_str(), &before), 0);
  const CniConfReport again = Install();
  EXPECT_TRUE(again.installed);
  EXPECT_FALSE(again.written);
  struct stat after{};
  ASSERT_EQ(::stat((directory_ / "10-a.conflist").c_str(), &after), 0);
  EXPECT_EQ(before.st_ino, after.st_ino);
}

TEST_F(CniConfDirectory, OnlyLooksWhenItMayNotRepair) {
  directory_.Write("10-a.conflist", kList);
  const CniConfReport report = Install(CniMode::kLook);
  EXPECT_FALSE(report.installed);
  EXPECT_THAT(report.pending, HasSubstr("10-a.conflist has no entry"));
  EXPECT_EQ(directory_.Read("10-a.conflist"), kList);
}

TEST_F(CniConfDirectory, WaitsForADirectoryAndAFile) {
  EXPECT_THAT(Install().pending, HasSubstr("no valid configuration"));
  EXPECT_THAT(InstallCniEntry(directory_ / "none", kEntry, CniMode::kRepair).pending,
              HasSubstr("no directory"));
}

TEST_F(CniConfDirectory, AListTakesThePlaceOfAFileWithOnePlugin) {
  directory_.Write("10-a.conf", kSingle, 0644);
  const CniConfReport report = Install();
  EXPECT_TRUE(report.installed) << report.pending;
  EXPECT_EQ(report.file, "10-a.conflist");
  EXPECT_THAT(Names(), testing::ElementsAre("10-a.conflist"));
  EXPECT_THAT(directory_.Read("10-a.conflist"), HasSubstr(kSingle));
  EXPECT_EQ(directory_.ModeOf("10-a.conflist"), 0644u);
  EXPECT_FALSE(Install().written);

  // Its owner puts it back, with other content: lifted again, over the list that was made of it.
  const std::string newer = R"({"cniVersion":"1.0.0","name":"a","type":"bridge","mtu":1400})";
  directory_.Write("10-a.conf", newer);
  EXPECT_TRUE(Install().installed);
  EXPECT_THAT(Names(), testing::ElementsAre("10-a.conflist"));
  EXPECT_THAT(directory_.Read("10-a.conflist"), HasSubstr(newer));
}

TEST_F(CniConfDirectory, NeverReplacesAnothersListByALiftedFile) {
  directory_.Write("10-a.conf", kSingle);
  directory_.Write("10-a.conflist", kList);
  const CniConfReport report = Install();
  EXPECT_FALSE(report.installed);
  EXPECT_THAT(report.pending, HasSubstr("remove one of them"));
  EXPECT_EQ(directory_.Read("10-a.conf"), kSingle);
  EXPECT_EQ(directory_.Read("10-a.conflist"), kList);
}

TEST_F(CniConfDirectory, StopsAtAFileThatARuntimeMayUseAndItCannotEdit) {
  directory_.Write("10-old.conflist",
                   R"({"cniVersion":"0.1.0","name":"a","plugins":[{"type":"x"}]})");
  directory_.Write("20-b.conflist", kList);
  const CniConfReport report = Install();
  EXPECT_FALSE(report.installed);
  EXPECT_THAT(report.pending,
              HasSubstr("10-old.conflist, which the runtime may use, cannot be chained to"));
  EXPECT_EQ(directory_.Read("20-b.conflist"), kList);
}

TEST_F(CniConfDirectory, StopsAtAHugeFile) {
  directory_.Write("10-huge.conflist", std::string(3 << 20, ' ') + kList);
  directory_.Write("20-b.conflist", kList);
  EXPECT_THAT(Install().pending, HasSubstr("longer than 1 MiB"));
  EXPECT_EQ(directory_.Read("20-b.conflist"), kList);
}

TEST_F(CniConfDirectory, PassesOverWhatIsNoFile) {
  fs::create_directory(directory_ / "10-directory.conflist");
  ASSERT_EQ(::mkfifo((directory_ / "20-pipe.conflist").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", directory_ / "30-device.conflist");
  directory_.Write("40-b.conflist", kList);
  EXPECT_EQ(Install().file, "40-b.conflist");
  EXPECT_TRUE(HasEntry("40-b.conflist"));
}

TEST_F(CniConfDirectory, ReplacesALinkAndLeavesWhatItLedTo) {
  const TemporaryDirectory elsewhere;
  elsewhere.Write("target", kList);
  fs::create_symlink(elsewhere / "target", directory_ / "10-a.conflist");
  EXPECT_TRUE(Install().installed);
  EXPECT_FALSE(fs::is_symlink(directory_ / "10-a.conflist"));
  EXPECT_TRUE(HasEntry("10-a.conflist"));
  EXPECT_EQ(elsewhere.Read("target"), kList);
}

TEST_F(CniConfDirectory, StopsAtALinkThatLeadsNowhere) {
  fs::create_symlink("/nowhere/at/all", directory_ / "10-a.conflist");
  directory_.Write("20-b.conflist", kList);
  EXPECT_THAT(Install().pending, HasSubstr("a link to what the agent cannot see"));
  EXPECT_EQ(directory_.Read("20-b.conflist"), kList);
}

TEST_F(CniConfDirectory, DoesNotWriteThroughALinkThatWaitsUnderItsTemporaryName) {
  const TemporaryDirectory elsewhere;
  elsewhere.Write("victim", "precious");
  fs::create_symlink(elsewhere / "victim", directory_ / ".heddle-cni-conf.tmp");
  directory_.Write("10-a.conflist", kList);
  EXPECT_TRUE(Install().installed);
  EXPECT_EQ(elsewhere.Read("victim"), "precious");
  EXPECT_THAT(Names(), testing::ElementsAre("10-a.conflist"));
}

TEST_F(CniConfDirectory, StopsAtAFileThatItMayNotRead) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  directory_.Write("10-a.conflist", kList, 0600);
  directory_.Write("20-b.conflist", kList, 0644);
  ASSERT_EQ(::chmod(directory_.path().c_str(), 0755), 0);
  ::setfsuid(65534);  // Takes away CAP_DAC_OVERRIDE for files, as a container without it.
  const CniConfReport report = Install(CniMode::kLook);
  ::setfsuid(0);
  EXPECT_EQ(report.file, "10-a.conflist");
  EXPECT_THAT(report.pending, HasSubstr("Permission denied"));
}

TEST_F(CniConfDirectory, KeepsTheOwner) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root";
  directory_.Write("10-a.conflist", kList);
  ASSERT_EQ(::chown((directory_ / "10-a.conflist").c_str(), 1234, 2345), 0);
  EXPECT_TRUE(Install().written);
  struct stat info{};
  ASSERT_EQ(::stat((directory_ / "10-a.conflist").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1234u);
  EXPECT_EQ(info.st_gid, 2345u);
}

TEST_F(CniConfDirectory, TakesItsEntryOutOfEveryFileAndLeavesTheRest) {
  directory_.Write("10-a.conflist", kList, 0640);
  Install();
  directory_.Write("05-front.conflist", kList);
  Install();
  directory_.Write("99-other.conflist", "{ not JSON");
  directory_.Write("98-other.conf", kSingle);
  ASSERT_TRUE(HasEntry("05-front.conflist") && HasEntry("10-a.conflist"));
  EXPECT_TRUE(RemoveCniEntries(directory_.path()).ok());
  EXPECT_EQ(directory_.Read("05-front.conflist"), kList);
  EXPECT_EQ(directory_.Read("10-a.conflist"), kList);
  EXPECT_EQ(directory_.ModeOf("10-a.conflist"), 0640u);
  EXPECT_EQ(directory_.Read("99-other.conflist"), "{ not JSON");
  EXPECT_EQ(directory_.Read("98-other.conf"), kSingle);
  EXPECT_TRUE(RemoveCniEntries(directory_ / "none").ok());
}

TEST_F(CniConfDirectory, SaysWhichFileItCouldNotTakeItsEntryOutOf) {
  directory_.Write("10-a.conflist",
                   R"({"name":"a","name":"b","plugins":[{"type":"x"},{"type":"heddle-cni"}]})");
  EXPECT_THAT(std::string(RemoveCniEntries(directory_.path()).message()),
              HasSubstr("10-a.conflist"));
}

TEST(CniPaths, AreKnownByPlatformOrRefusedWithASentence) {
  EXPECT_EQ(CniPathsOf("default")->conf_dir, "/etc/cni/net.d");
  EXPECT_EQ(CniPathsOf("gke")->bin_dir, "/home/kubernetes/bin");
  EXPECT_EQ(CniPathsOf("k3s")->bin_dir, "/var/lib/rancher/k3s/data/cni");
  EXPECT_TRUE(absl::IsUnimplemented(CniPathsOf("openshift").status()));
  EXPECT_THAT(std::string(CniPathsOf("openshift").status().message()), HasSubstr("Multus"));
  EXPECT_THAT(std::string(CniPathsOf("vms").status().message()),
              HasSubstr("known are default, eks"));
}

}  // namespace
}  // namespace heddle::agent
