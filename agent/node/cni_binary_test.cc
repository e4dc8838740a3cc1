#include "agent/node/cni_binary.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "lib/base/testing/temporary_directory.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

class CniBinaryTest : public testing::Test {
 protected:
  CniBinaryTest() { from_.Write("heddle-cni", "program", 0700); }
  // What one look does; true when it wrote.
  bool Repair() {
    const auto differs = binary_.Differs();
    EXPECT_TRUE(differs.ok()) << differs.status();
    if (differs.ok() && *differs) {
      const absl::Status installed = binary_.Install();
      EXPECT_TRUE(installed.ok()) << installed;
    }
    return differs.ok() && *differs;
  }

  const TemporaryDirectory from_;
  const TemporaryDirectory to_;
  CniBinary binary_{from_ / "heddle-cni", to_.path()};
};

TEST_F(CniBinaryTest, IsCopiedOnceAndMayBeRun) {
  EXPECT_TRUE(Repair());
  EXPECT_EQ(to_.Read("heddle-cni"), "program");
  EXPECT_EQ(to_.ModeOf("heddle-cni"), 0755u);
  EXPECT_FALSE(Repair());
  EXPECT_FALSE(fs::exists(to_ / ".heddle-cni-bin.tmp"));
}

TEST_F(CniBinaryTest, IsPutBackWhateverWasDoneToIt) {
  Repair();
  fs::remove(to_ / "heddle-cni");
  EXPECT_TRUE(Repair());
  to_.Write("heddle-cni", "PROGRAM", 0755);
  EXPECT_TRUE(Repair());
  fs::permissions(to_ / "heddle-cni", fs::perms::owner_read);
  EXPECT_TRUE(Repair());
  fs::remove(to_ / "heddle-cni");
  fs::create_symlink(from_ / "heddle-cni", to_ / "heddle-cni");
  EXPECT_TRUE(Repair());
  EXPECT_FALSE(fs::is_symlink(to_ / "heddle-cni"));
  EXPECT_FALSE(Repair());
}

TEST_F(CniBinaryTest, FollowsTheAgentsOwn) {
  Repair();
  from_.Replace("heddle-cni", "program, second edition");
  EXPECT_TRUE(Repair());
  EXPECT_EQ(to_.Read("heddle-cni"), "program, second edition");
}

TEST_F(CniBinaryTest, SaysWhatIsMissing) {
  fs::remove_all(to_.path());
  EXPECT_FALSE(binary_.Install().ok());
  fs::remove(from_ / "heddle-cni");
  EXPECT_TRUE(absl::IsNotFound(binary_.Differs().status()));
}

}  // namespace
}  // namespace heddle::agent
