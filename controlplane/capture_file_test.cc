#include "controlplane/capture_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"

namespace heddle::controlplane {
namespace {

TEST(CaptureFile, IsEmptyBeforeTheFirstSave) {
  const TemporaryDirectory directory;
  const auto loaded = CaptureFile(directory / "captured.json").Load();
  ASSERT_TRUE(loaded.ok());
  EXPECT_TRUE(loaded->empty());
}

TEST(CaptureFile, GivesBackWhatWasSavedLast) {
  const TemporaryDirectory directory;
  const CaptureFile file(directory / "captured.json");
  const translate::CapturedPods captured = {{"n1", {"a", "b"}}, {"n2", {"c"}}};
  ASSERT_TRUE(file.Save({{"n9", {"z"}}}).ok());
  ASSERT_TRUE(file.Save(captured).ok());
  const auto loaded = file.Load();
  ASSERT_TRUE(loaded.ok());
  EXPECT_EQ(*loaded, captured);
  EXPECT_EQ(directory.ModeOf("captured.json"), 0600u);
}

TEST(CaptureFile, KeepsAFileOfAnotherFormOut) {
  const TemporaryDirectory directory;
  for (const char* text : {"", "{", "[1]", R"({"n1": "a"})", R"({"n1": [1]})", "null"}) {
    directory.Write("captured.json", text);
    const auto loaded = CaptureFile(directory / "captured.json").Load();
    EXPECT_EQ(loaded.status().code(), absl::StatusCode::kDataLoss) << text;
  }
}

TEST(CaptureFile, SavesWhatIsNotUtf8) {
  const TemporaryDirectory directory;
  const CaptureFile file(directory / "captured.json");
  ASSERT_TRUE(file.Save({{"n1", {"\xff\xfe"}}}).ok());
  EXPECT_TRUE(file.Load().ok());
}

}  // namespace
}  // namespace heddle::controlplane
