#include "lib/cni/json.h"

#include <gtest/gtest.h>

namespace heddle::cni {
namespace {

TEST(Json, AcceptsWhatRfc8259Allows) {
  for (const char* text :
       {"null", " true ", "false", "0", "-0", "12.5e-3", "1E+9", "\"\"", "\"\\u00e9\\n\\/\"", "[]", "{}",
        "[1, [2], {\"a\": [] }]", "{\"a\":1,\"b\":{\"c\":null}}", "\t{\r\n\"a\" : 1 }\n", "\"\xc3\xa9\""}) {
    EXPECT_TRUE(ParseJson(text)) << text;
  }
}

TEST(Json, RefusesEverythingElse) {
  for (const char* text : {"",
                           " ",
                           "nul",
                           "tru",
                           "TRUE",
                           "01",
                           "-",
                           "1.",
                           ".5",
                           "1e",
                           "+1",
                           "0x1",
                           "NaN",
                           "\"",
                           "\"\\",
                           "\"\\u12",
                           "\"\\x41\"",
                           "\"a\nb\"",
                           "[1,]",
                           "[,1]",
                           "[1 2]",
                           "[",
                           "{",
                           "{\"a\"}",
                           "{\"a\":}",
                           "{a:1}",
                           "{\"a\":1,}",
                           "{\"a\":1 \"b\":2}",
                           "1 2",
                           "{} x",
                           "// c\n1",
                           "'a'",
                           "\"\xff\"",
                           "\"\xc0\x80\"",
                           "\"\xed\xa0\x80\"",
                           "\"\xf4\x90\x80\x80\"",
                           "\"\xe2\x82\""}) {
    EXPECT_FALSE(ParseJson(text)) << text;
  }
  EXPECT_FALSE(ParseJson(std::string_view("1\0", 2)));
}

TEST(Json, BoundsDepthAndSize) {
  const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_TRUE(ParseJson(nested(kMaxJsonDepth)));
  EXPECT_FALSE(ParseJson(nested(kMaxJsonDepth + 1)));
  EXPECT_FALSE(ParseJson(std::string(100000, '[')));
  EXPECT_TRUE(ParseJson("1" + std::string(kMaxJsonBytes - 1, ' ')));
  EXPECT_FALSE(ParseJson("1" + std::string(kMaxJsonBytes, ' ')));
}

TEST(Json, BoundsMembers) {
  std::string list = "[0";
  for (size_t i = 1; i < kMaxJsonMembers; ++i) list += ",0";
  EXPECT_TRUE(JsonItems(*ParseJson(list + "]")));
  EXPECT_FALSE(JsonItems(*ParseJson(list + ",0]")));
}

TEST(Json, KeepsTheBytesOfEachMember) {
  const std::string_view text = R"({ "a" : [1,  2] , "b\u0063" : {"x":1.50} })";
  const auto members = JsonMembers(*ParseJson(text));
  ASSERT_TRUE(members);
  ASSERT_EQ(members->size(), 2u);
  EXPECT_EQ((*members)[0].second.raw, "[1,  2]");
  EXPECT_EQ((*members)[1].first, "bc");
  EXPECT_EQ((*members)[1].second.raw, R"({"x":1.50})");
  EXPECT_EQ(FindMember(*members, "nothing"), nullptr);
}

TEST(Json, RefusesTwoEntriesOfOneName) { EXPECT_FALSE(JsonMembers(*ParseJson(R"({"a":1,"\u0061":2})"))); }

TEST(Json, ResolvesEscapes) {
  const struct {
    const char* json;
    std::string want;
  } cases[] = {
      {R"("a\"\\\/\b\f\n\r\t")", "a\"\\/\b\f\n\r\t"},
      {R"("\u0041\u00e9\u20ac")", "A\xc3\xa9\xe2\x82\xac"},
      {R"("\ud83d\ude00")", "\xf0\x9f\x98\x80"},
      {R"("\ud83d")", "\xef\xbf\xbd"},
      {R"("\ude00x")", "\xef\xbf\xbdx"},
      {R"("\ud83d\u0041")",
       "\xef\xbf\xbd"
       "A"},
      {R"("\u0000")", std::string(1, '\0')},
  };
  for (const auto& c : cases) EXPECT_EQ(JsonString(*ParseJson(c.json)), c.want) << c.json;
}

TEST(Json, ReadsIntegersOnly) {
  EXPECT_EQ(JsonInteger(*ParseJson("42")), 42);
  EXPECT_EQ(JsonInteger(*ParseJson("-1")), -1);
  for (const char* text : {"1.5", "1e3", "99999999999", "\"1\""})
    EXPECT_FALSE(JsonInteger(*ParseJson(text))) << text;
}

TEST(Json, QuotesSoThatItReadsBack) {
  for (const std::string& text :
       {std::string("plain"), std::string("\"\\\n\t\x01"), std::string("\xc3\xa9\xf0\x9f\x98\x80"),
        std::string("\0x", 2), std::string("\x7f")}) {
    const std::string quoted = QuoteJson(text);
    const auto value = ParseJson(quoted);
    ASSERT_TRUE(value);
    EXPECT_EQ(JsonString(*value), text);
  }
  EXPECT_EQ(QuoteJson("a\xff"
                      "b"),
            "\"a\xef\xbf\xbd"
            "b\"");
}

}  // namespace
}  // namespace heddle::cni
