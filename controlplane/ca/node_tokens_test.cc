#include "controlplane/ca/node_tokens.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"
#include "lib/base/check.h"

namespace heddle::controlplane::ca {
namespace {

NodeTokens MustOpen(const std::string& directory) {
  auto opened = NodeTokens::Open(directory);
  CHECK(opened.ok());
  return *std::move(opened);
}

// The token in a node's file.
std::string TokenIn(const TemporaryDirectory& directory, const std::string& node) {
  std::string text = directory.Read(node);
  CHECK(!text.empty() && text.back() == '\n');
  text.pop_back();
  return text;
}

TEST(NodeTokens, MakesAFileForEachNodeThatOnlyItsOwnerCanRead) {
  const TemporaryDirectory parent;
  NodeTokens tokens = MustOpen(parent / "tokens");
  tokens.Ensure({"n1", "n2"});
  EXPECT_EQ(parent.ModeOf("tokens"), 0700u);
  EXPECT_EQ(parent.ModeOf("tokens/n1"), 0600u);
  EXPECT_EQ(parent.Read("tokens/n1").size(), kNodeTokenDigits + 1);
  EXPECT_NE(parent.Read("tokens/n1"), parent.Read("tokens/n2"));
}

TEST(NodeTokens, KnowsWhoseATokenIs) {
  const TemporaryDirectory directory;
  NodeTokens tokens = MustOpen(directory.path());
  tokens.Ensure({"n1", "n2"});
  const std::string token = TokenIn(directory, "n2");
  EXPECT_EQ(tokens.NodeOf(token), "n2");
  std::string other = token;
  other.back() = other.back() == '0' ? '1' : '0';
  for (const std::string& wrong : {std::string(), token.substr(1), token + "0", token + "\n", other,
                                   std::string(kNodeTokenDigits, '0')}) {
    EXPECT_EQ(tokens.NodeOf(wrong), std::nullopt) << wrong;
  }
}

TEST(NodeTokens, KeepsTokensAcrossARestart) {
  const TemporaryDirectory directory;
  MustOpen(directory.path()).Ensure({"n1"});
  const std::string token = TokenIn(directory, "n1");
  NodeTokens tokens = MustOpen(directory.path());
  tokens.Ensure({"n1"});
  EXPECT_EQ(TokenIn(directory, "n1"), token);
  EXPECT_EQ(tokens.NodeOf(token), "n1");
}

TEST(NodeTokens, NeitherUsesNorReplacesAFileThatIsNoToken) {
  const TemporaryDirectory directory;
  const std::string good(kNodeTokenDigits, 'a');
  directory.Write("short", "abc");
  directory.Write("empty", "");
  directory.Write("upper", std::string(kNodeTokenDigits, 'A'));
  directory.Write("readable", good, 0644);
  std::filesystem::create_symlink("readable", directory / "link");
  std::filesystem::create_directory(directory / "folder");
  NodeTokens tokens = MustOpen(directory.path());
  tokens.Ensure({"short", "empty", "upper", "readable", "link", "folder"});
  EXPECT_EQ(tokens.size(), 0u);
  EXPECT_EQ(directory.Read("short"), "abc");
  EXPECT_EQ(tokens.NodeOf(good), std::nullopt);
}

TEST(NodeTokens, BelievesNobodyWithATokenThatTwoNodesHave) {
  const TemporaryDirectory directory;
  const std::string token(kNodeTokenDigits, 'a');
  directory.Write("n1", token);
  directory.Write("n2", token);
  EXPECT_EQ(MustOpen(directory.path()).NodeOf(token), std::nullopt);
}

TEST(NodeTokens, MakesNoFilesForNamesThatAreNoNodeNames) {
  const TemporaryDirectory directory;
  NodeTokens tokens = MustOpen(directory.path());
  tokens.Ensure({"", ".", "..", "../n1", "a/b", "-a", "a-", ".new", "A", "a b",
                 std::string("a\0b", 3), std::string(254, 'a')});
  EXPECT_EQ(tokens.size(), 0u);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  tokens.Ensure({std::string(253, 'a'), "ip-10-0-0-1.eu.internal", "1"});
  EXPECT_EQ(tokens.size(), 3u);
}

TEST(NodeTokens, AnUnusableDirectoryIsAnError) {
  const TemporaryDirectory directory;
  EXPECT_FALSE(NodeTokens::Open(directory / "no/such").ok());
  directory.Write("file", "");
  EXPECT_FALSE(NodeTokens::Open(directory / "file").ok());
}

}  // namespace
}  // namespace heddle::controlplane::ca
