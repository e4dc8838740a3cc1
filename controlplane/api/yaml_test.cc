#include "controlplane/api/yaml.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

namespace heddle::controlplane::api {
namespace {

std::string Error(std::string_view text) {
  std::vector<Tree> documents;
  const YamlError error = ParseYaml(text, documents);
  return error.ok() ? "" : absl::StrCat(error.line, ": ", error.reason);
}

TEST(ParseYaml, KeepsLinesAndTellsQuotedFromPlain) {
  std::vector<Tree> documents;
  ASSERT_TRUE(ParseYaml("a: 1\nb:\n- '2'\n- x\n---\n{\"c\":\n null}\n", documents).ok());
  ASSERT_EQ(documents.size(), 2u);
  const Tree& first = documents[0];
  ASSERT_EQ(first.members.size(), 2u);
  EXPECT_EQ(first.members[0].value.kind, Tree::Kind::kPlain);
  const Tree& list = first.members[1].value;
  EXPECT_EQ(list.items[0].kind, Tree::Kind::kText);
  EXPECT_EQ(list.items[1].kind, Tree::Kind::kPlain);
  EXPECT_EQ(list.items[1].line, 4);
  EXPECT_EQ(documents[1].members[0].value.kind, Tree::Kind::kNull);
}

TEST(ParseYaml, ReadsJsonWithTabs) {
  EXPECT_EQ(Error("{\n\t\"a\": [1,\n\t\t2], \"b\": \"x\\/y\"\n}\n"), "");
}

TEST(ParseYaml, ExpandsAliases) {
  std::vector<Tree> documents;
  ASSERT_TRUE(ParseYaml("a: &x {k: v}\nb: *x\n", documents).ok());
  EXPECT_EQ(documents[0].members[1].value.members[0].value.text, "v");
}

TEST(ParseYaml, NamesTheLineOfAnError) {
  const struct {
    const char* name;
    std::string text;
    const char* want;
  } cases[] = {
      {"syntax", "a: 1\nb: [1,\n", "3: "},
      {"duplicate key", "a: 1\nb: 2\na: 3\n", "3: the key \"a\" is given twice"},
      {"merge key", "x: &x {a: 1}\ny:\n  <<: *x\n", "3: merge keys (<<) are not supported"},
      {"mapping as key", "{a: 1}: 2\n", "1: a mapping's key must be text"},
      {"NUL", std::string("a: 1\nb: \0", 9), "2: has a NUL byte: only UTF-8 is read"},
      {"unknown alias", "a: *nobody\n", "1: "},
      {"stray comma", "a: 1\n---\n,\n", "3: no document can begin here"},
      {"alias of itself", "a: &x [*x]\n", "1: "},
  };
  for (const auto& c : cases)
    EXPECT_TRUE(Error(c.text).starts_with(c.want)) << c.name << ": " << Error(c.text);
}

TEST(ParseYaml, RefusesWhatGrowsOutOfBounds) {
  std::string bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n";
  for (int i = 1; i < 12; ++i) {
    absl::StrAppend(&bomb, "a", i, ": &a", i, " [");
    for (int j = 0; j < 10; ++j) absl::StrAppend(&bomb, j > 0 ? "," : "", "*a", i - 1);
    absl::StrAppend(&bomb, "]\n");
  }
  EXPECT_NE(Error(bomb).find("aliases expand to too much"), std::string::npos) << Error(bomb);
  EXPECT_NE(Error(std::string(200, '[') + std::string(200, ']')), "");
  EXPECT_NE(Error(std::string(100'000, '[')), "");
  EXPECT_NE(Error(std::string(100'000, '{')), "");
}

}  // namespace
}  // namespace heddle::controlplane::api
