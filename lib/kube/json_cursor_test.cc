#include "lib/kube/json_cursor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

namespace heddle::kube {
namespace {

using testing::ElementsAre;
using testing::Pair;

std::vector<std::pair<std::string, std::string>> Entries(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> entries;
  JsonCursor cursor(text);
  while (cursor.Next()) entries.emplace_back(cursor.key(), cursor.value());
  if (cursor.malformed()) entries.emplace_back("malformed", "");
  return entries;
}

TEST(JsonCursor, GivesMembersAsTheTextThatTheyAre) {
  EXPECT_THAT(Entries(R"( {"a": 1, "b" :{"c":["}",{}]} ,"d":"x\"y\\","e":null,"\u0066":-1.5e3 } )"),
              ElementsAre(Pair("a", "1"), Pair("b", R"({"c":["}",{}]})"), Pair("d", R"("x\"y\\")"),
                          Pair("e", "null"), Pair("f", "-1.5e3")));
}

TEST(JsonCursor, GivesTheItemsOfAnArray) {
  EXPECT_THAT(
      Entries(R"([{"a":[1]}, 2 ,"3",[]])"),
      ElementsAre(Pair("", R"({"a":[1]})"), Pair("", "2"), Pair("", R"("3")"), Pair("", "[]")));
  EXPECT_THAT(Entries("[]"), ElementsAre());
  EXPECT_THAT(Entries(" { } "), ElementsAre());
}

TEST(JsonCursor, StopsWhereTheTextIsNotJson) {
  for (const char* text :
       {"",         "1",        "null",      R"("a")",    "{",           "[",
        R"({"a")",  R"({"a":)", R"({"a":})", R"({"a":1)", R"({"a":1,})", R"({"a":1 "b":2})",
        R"({a:1})", "[1 2]",    "[,]",       "[1,]",      R"(["a)",      R"(["a\")",
        "[{]",      "[[1]"}) {
    const auto entries = Entries(text);
    ASSERT_FALSE(entries.empty()) << text;
    EXPECT_EQ(entries.back().first, "malformed") << text;
  }
}

TEST(JsonText, ResolvesEscapes) {
  EXPECT_EQ(JsonText(R"("plain")"), "plain");
  EXPECT_EQ(JsonText(R"("a\n\u00e9\"")"), "a\n\xc3\xa9\"");
  for (const char* text : {"", "\"", "1", "null", R"("a\q")", R"("\)", R"("a"b")"})
    EXPECT_EQ(JsonText(text), std::nullopt) << text;
}

}  // namespace
}  // namespace heddle::kube
