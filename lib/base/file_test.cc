#include "lib/base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <filesystem>

namespace heddle {
namespace {

namespace fs = std::filesystem;

struct Folder {
  Folder() {
    std::string name = fs::temp_directory_path() / "heddle-file-XXXXXX";
    path = ::mkdtemp(name.data());
  }
  ~Folder() { fs::remove_all(path); }
  size_t entries() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path), {}));
  }

  fs::path path;
};

// Files of this process end after so many bytes, as on a full disk: the last write that fits is a partial one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit{.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  sighandler_t handler_;
  rlimit before_{};
};

TEST(ReplaceFile, IsReadBackAndLeavesNothingElse) {
  const Folder folder;
  const std::string path = folder.path / "state";
  const std::string bytes(100'000, 'x');
  for (const auto durability : {Durability::kProcessCrash, Durability::kPowerLoss}) {
    for (const std::string& text : {std::string("short"), bytes, std::string()}) {
      EXPECT_TRUE(ReplaceFile(path, text, durability).ok());
      EXPECT_EQ(ReadFile(path, 1u << 20).value(), text);
    }
  }
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(ReplaceFile, IsForTheOwnerAlone) {
  const Folder folder;
  const std::string path = folder.path / "key";
  ASSERT_TRUE(ReplaceFile(path, "secret", Durability::kProcessCrash).ok());
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

TEST(ReplaceFile, KeepsTheOldFileWhenTheNewOneDoesNotFit) {
  const Folder folder;
  const std::string path = folder.path / "state";
  ASSERT_TRUE(ReplaceFile(path, "old", Durability::kPowerLoss).ok());
  {
    const FileSizeLimit full_disk(1000);
    const absl::Status status = ReplaceFile(path, std::string(3000, 'x'), Durability::kPowerLoss);
    EXPECT_FALSE(status.ok());
    EXPECT_NE(status.message().find("state.new"), absl::string_view::npos) << status;
  }
  EXPECT_EQ(ReadFile(path, 1000).value(), "old");
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(ReplaceFile, LeavesNothingWhenThePathIsTaken) {
  const Folder folder;
  fs::create_directory(folder.path / "state");
  EXPECT_FALSE(ReplaceFile(folder.path / "state", "text", Durability::kProcessCrash).ok());
  EXPECT_EQ(folder.entries(), 1u);
}

TEST(MappedFile, HasWhatWasWritten) {
  const Folder folder;
  const std::string path = folder.path / "file";
  const std::string bytes(100'000, 'x');
  ASSERT_TRUE(ReplaceFile(path, bytes, Durability::kProcessCrash).ok());
  auto file = MappedFile::Map(path, bytes.size());
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->bytes(), bytes);
  // What replaces it is another file.
  ASSERT_TRUE(ReplaceFile(path, "", Durability::kProcessCrash).ok());
  const MappedFile moved = *std::move(file);
  EXPECT_EQ(moved.bytes(), bytes);
  file = MappedFile::Map(path, 0);
  ASSERT_TRUE(file.ok()) << file.status();
  EXPECT_EQ(file->bytes(), "");
}

TEST(MappedFile, SaysWhyThereIsNone) {
  const Folder folder;
  const std::string path = folder.path / "file";
  EXPECT_TRUE(absl::IsNotFound(MappedFile::Map(path, 1).status()));
  ASSERT_TRUE(ReplaceFile(path, "12", Durability::kProcessCrash).ok());
  EXPECT_TRUE(absl::IsOutOfRange(MappedFile::Map(path, 1).status()));
  EXPECT_FALSE(MappedFile::Map(folder.path, 1 << 20).ok());
}

TEST(ReadFile, SaysWhatIsNotThere) {
  const Folder folder;
  EXPECT_TRUE(absl::IsNotFound(ReadFile(folder.path / "none", 100).status()));
  EXPECT_FALSE(ReadFile(folder.path, 100).ok());
}

TEST(ReadFile, RefusesWhatIsTooLong) {
  const Folder folder;
  const std::string path = folder.path / "file";
  ASSERT_TRUE(ReplaceFile(path, std::string(100, 'x'), Durability::kProcessCrash).ok());
  EXPECT_EQ(ReadFile(path, 100)->size(), 100u);
  EXPECT_TRUE(absl::IsOutOfRange(ReadFile(path, 99).status()));
}

TEST(ReadFile, ReadsFilesThatDoNotKnowTheirSize) {
  EXPECT_FALSE(ReadFile("/proc/self/status", 1u << 20)->empty());
  EXPECT_TRUE(absl::IsOutOfRange(ReadFile("/proc/self/status", 10).status()));
}

}  // namespace
}  // namespace heddle
