#include "controlplane/sources/directory_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace heddle::controlplane::sources {
namespace {

using testing::HasSubstr;

// A directory of its own for each test, gone afterwards.
class DirectorySourceTest : public testing::Test {
 protected:
  DirectorySourceTest() {
    std::string pattern = testing::TempDir() + "/heddle-source-XXXXXX";
    directory_ = mkdtemp(pattern.data());
  }
  ~DirectorySourceTest() override { std::filesystem::remove_all(directory_); }

  std::string Path(const std::string& name) const { return directory_ + "/" + name; }
  void Write(const std::string& name, const std::string& text) {
    std::ofstream(Path(name)) << text;
  }
  void WriteNamespace(const std::string& name, const std::string& object) {
    Write(name, "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + object + "}\n");
  }
  std::unique_ptr<DirectorySource> Open() {
    return std::move(DirectorySource::Open(loop_, directory_).value());
  }
  static bool Readable(const DirectorySource& source) {
    pollfd entry{.fd = source.fd(), .events = POLLIN};
    return poll(&entry, 1, 0) == 1;
  }

  SystemClock clock_;
  io::Loop loop_{clock_, io::LoopOptions{.backend = io::BackendChoice::kEpoll}};
  std::string directory_;
};

TEST_F(DirectorySourceTest, ReadsWhatIsThereAtFirst) {
  WriteNamespace("a.yaml", "a");
  WriteNamespace("b.yml", "b");
  Write("c.json", R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":"c"}})");
  for (const char* other : {".a.yaml", ".a.yaml.swp", "a.yaml~", "a.txt", "#a.yaml#"})
    WriteNamespace(other, "other");
  EXPECT_EQ(Open()->Poll().upserted.size(), 3u);
}

TEST_F(DirectorySourceTest, SeesWritesRenamesAndRemovals) {
  const auto source = Open();
  EXPECT_TRUE(source->Poll().empty());
  EXPECT_FALSE(Readable(*source));

  WriteNamespace("a.yaml", "a");
  EXPECT_TRUE(Readable(*source));
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
  EXPECT_FALSE(Readable(*source));

  WriteNamespace(".b.tmp", "b");
  EXPECT_TRUE(source->Poll().empty());
  std::filesystem::rename(Path(".b.tmp"), Path("b.yaml"));
  EXPECT_EQ(source->Poll().upserted.size(), 1u);

  std::filesystem::rename(Path("b.yaml"), Path("c.yaml"));
  EXPECT_TRUE(source->Poll().empty());
  std::filesystem::remove(Path("c.yaml"));
  EXPECT_EQ(source->Poll().removed.size(), 1u);
  std::filesystem::rename(Path("a.yaml"), Path("a.yaml.bak"));
  EXPECT_EQ(source->Poll().removed.size(), 1u);
}

TEST_F(DirectorySourceTest, DoesNotReadAFileThatIsStillBeingWritten) {
  const auto source = Open();
  source->Poll();
  std::ofstream file(Path("a.yaml"));
  file << "apiVersion: v1\nkind: Namespace\n" << std::flush;
  EXPECT_TRUE(source->Poll().empty());
  EXPECT_TRUE(source->problems().empty());
  file << "metadata: {name: a}\n";
  file.close();
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
}

TEST_F(DirectorySourceTest, FollowsTheLinksOfAMountedConfigMap) {
  std::filesystem::create_directory(Path("..1"));
  WriteNamespace("..1/a.yaml", "a");
  std::filesystem::create_directory(Path("..2"));
  WriteNamespace("..2/a.yaml", "b");
  std::filesystem::create_directory_symlink("..1", Path("..data"));
  std::filesystem::create_symlink("..data/a.yaml", Path("a.yaml"));
  const auto source = Open();
  EXPECT_EQ(api::MetaOf(source->Poll().upserted.at(0)).name, "a");

  std::filesystem::create_directory_symlink("..2", Path("..data_tmp"));
  std::filesystem::rename(Path("..data_tmp"), Path("..data"));
  const api::StoreDiff diff = source->Poll();
  EXPECT_EQ(api::MetaOf(diff.upserted.at(0)).name, "b");
  EXPECT_EQ(diff.removed.size(), 1u);
}

TEST_F(DirectorySourceTest, NamesFileAndLineOfBrokenYamlAndKeepsItsObjects) {
  WriteNamespace("a.yaml", "a");
  const auto source = Open();
  source->Poll();
  Write("a.yaml", "apiVersion: v1\nkind: [\n");
  EXPECT_TRUE(source->Poll().empty());
  ASSERT_EQ(source->problems().size(), 1u);
  EXPECT_EQ(source->problems()[0].file, "a.yaml");
  EXPECT_EQ(source->problems()[0].line, 3);
  EXPECT_EQ(source->problems()[0].effect, api::Problem::Effect::kLastGoodKept);
}

TEST_F(DirectorySourceTest, LosesNoPolicyWhenAFileIsBrokenFromTheStart) {
  Write("a.yaml",
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: a}\n---\n"
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        "metadata: {name: p, namespace: shop}\nspec: {action: [\n---\n"
        "apiVersion: v1\nkind: Namespace\nmetadata: {name: b}\n");
  const auto source = Open();
  const api::StoreDiff diff = source->Poll();
  ASSERT_EQ(diff.upserted.size(), 3u);
  const auto& policy = *std::get<std::shared_ptr<const api::AuthorizationPolicy>>(diff.upserted[2]);
  EXPECT_TRUE(policy.stand_in);
  EXPECT_EQ(policy.meta.name_space, "shop");
  ASSERT_EQ(source->problems().size(), 2u);
  EXPECT_THAT(source->problems()[1].ToString(), HasSubstr("the document that begins in line 4"));
  EXPECT_EQ(source->problems()[1].effect, api::Problem::Effect::kDenyAll);

  WriteNamespace("a.yaml", "a");
  EXPECT_EQ(source->Poll().removed.size(), 2u);
  EXPECT_TRUE(source->problems().empty());
}

TEST_F(DirectorySourceTest, RefusesWhatIsNoOrdinaryFile) {
  WriteNamespace("good.yaml", "good");
  Write("huge.yaml", "");
  std::filesystem::resize_file(Path("huge.yaml"), kMaxFileBytes + 1);
  ASSERT_EQ(mkfifo(Path("fifo.yaml").c_str(), 0600), 0);
  std::filesystem::create_directory(Path("folder.yaml"));
  const auto source = Open();
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
  ASSERT_EQ(source->problems().size(), 3u);
  EXPECT_THAT(source->problems()[0].ToString(), HasSubstr("fifo.yaml: not a regular file"));
  EXPECT_THAT(source->problems()[2].ToString(), HasSubstr("huge.yaml: larger than 16 MiB"));
}

TEST_F(DirectorySourceTest, KeepsEverythingWhileTheDirectoryIsGone) {
  WriteNamespace("a.yaml", "a");
  const auto source = Open();
  source->Poll();
  std::filesystem::rename(directory_, directory_ + "-away");
  EXPECT_TRUE(source->Poll().empty());
  EXPECT_THAT(source->problems().at(0).ToString(), HasSubstr("the directory is gone"));
  std::filesystem::create_directory(directory_);
  WriteNamespace("b.yaml", "b");
  const api::StoreDiff diff = source->Poll();
  EXPECT_EQ(diff.upserted.size(), 1u);
  EXPECT_EQ(diff.removed.size(), 1u);
  EXPECT_TRUE(source->problems().empty());
  std::filesystem::remove_all(directory_ + "-away");
}

TEST_F(DirectorySourceTest, PicksUpADirectoryThatWasRemovedAndMadeAgain) {
  const auto source = Open();
  WriteNamespace("a.yaml", "a");
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
  std::filesystem::remove_all(directory_);
  std::filesystem::create_directory(directory_);
  WriteNamespace("a.yaml", "b");
  const api::StoreDiff diff = source->Poll();
  EXPECT_EQ(diff.upserted.size(), 1u);
  EXPECT_EQ(diff.removed.size(), 1u);
  WriteNamespace("c.yaml", "c");
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
}

TEST_F(DirectorySourceTest, HasReadNothingUntilTheDirectoryCouldBeListed) {
  const auto source = Open();
  std::filesystem::remove_all(directory_);
  EXPECT_TRUE(source->Poll().empty());
  EXPECT_FALSE(source->synced()) << "an empty mesh would be served";
  std::filesystem::create_directory(directory_);
  WriteNamespace("a.yaml", "a");
  EXPECT_EQ(source->Poll().upserted.size(), 1u);
  EXPECT_TRUE(source->synced());
}

TEST_F(DirectorySourceTest, DoesNotOpenWhatIsNoDirectory) {
  Write("file", "");
  EXPECT_FALSE(DirectorySource::Open(loop_, Path("file")).ok());
  EXPECT_FALSE(DirectorySource::Open(loop_, Path("nothing")).ok());
}

}  // namespace
}  // namespace heddle::controlplane::sources
