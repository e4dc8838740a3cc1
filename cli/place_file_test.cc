#include "cli/place_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <iterator>

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class PlaceFileTest : public testing::Test {
 protected:
  PlaceFileTest() : folder_(fs::path(testing::TempDir()) / "heddle-place-file") {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  ~PlaceFileTest() override { fs::remove_all(folder_); }

  std::string Path(const char* name) const { return folder_ / name; }
  void Write(const char* name, const std::string& text) const { std::ofstream(Path(name)) << text; }
  std::string Read(const char* name) const {
    std::ifstream file(Path(name));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  const fs::path folder_;
};

TEST_F(PlaceFileTest, ReplacesAFileAndMakesTheFoldersOnTheWay) {
  Write("profile", "second");
  ASSERT_TRUE(PlaceFile(Path("profile"), Path("a/b/profile.json")).ok());
  EXPECT_EQ(Read("a/b/profile.json"), "second");
  Write("profile", "third");
  ASSERT_TRUE(PlaceFile(Path("profile"), Path("a/b/profile.json")).ok());
  EXPECT_EQ(Read("a/b/profile.json"), "third");
  struct stat info{};
  ASSERT_EQ(::stat(Path("a/b/profile.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0644u);
  EXPECT_EQ(std::distance(fs::directory_iterator(Path("a/b")), {}), 1);  // Nothing temporary.
}

TEST_F(PlaceFileTest, SaysWhatItCannotReadOrWriteAndLeavesNothing) {
  EXPECT_THAT(std::string(PlaceFile(Path("none"), Path("to")).status().message()),
              HasSubstr("none"));
  Write("large", std::string(kMaxPlacedBytes + 1, 'x'));
  EXPECT_THAT(std::string(PlaceFile(Path("large"), Path("to")).status().message()),
              HasSubstr("more than"));
  Write("profile", "text");
  fs::create_directories(Path("folder/in-the-way"));
  EXPECT_THAT(std::string(PlaceFile(Path("profile"), Path("folder")).status().message()),
              HasSubstr("cannot write"));
  EXPECT_THAT(std::string(PlaceFile(Path("profile"), Path("profile/below")).status().message()),
              HasSubstr("cannot write"));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), {}), 3);
}

TEST_F(PlaceFileTest, TakesAFileOnlyWhenTheMeshHasLeft) {
  Write("profile", "text");
  const absl::StatusOr<std::string> no_answers[] = {absl::UnavailableError("no agent"),
                                                    std::string("{\"gone\": false}"),
                                                    std::string("{}"),
                                                    std::string("{\"gone\": \"true\"}"),
                                                    std::string("[true]"),
                                                    std::string("{\"gone\": tr")};
  for (const auto& answer : no_answers) {
    EXPECT_THAT(*TakeFile(Path("profile"), answer), HasSubstr("profile stays: "));
    EXPECT_EQ(Read("profile"), "text");
  }
  const std::string gone = "{\"gone\": true}";
  EXPECT_THAT(*TakeFile(Path("profile"), gone), HasSubstr("is removed"));
  EXPECT_FALSE(fs::exists(Path("profile")));
  EXPECT_THAT(*TakeFile(Path("profile"), gone), HasSubstr("is not there"));
  fs::create_directories(Path("folder"));
  EXPECT_THAT(std::string(TakeFile(Path("folder"), gone).status().message()),
              HasSubstr("is a folder"));
  EXPECT_TRUE(fs::exists(Path("folder")));
}

}  // namespace
}  // namespace heddle::cli
