#include "lib/http/headers.h"

#include <gtest/gtest.h>

namespace heddle::http {
namespace {

TEST(Headers, FindsTheFirstOfAName) {
  const Headers headers = {{"a", "1"}, {"b", "2"}, {"a", "3"}};
  EXPECT_EQ(*headers.Find("a"), "1");
  EXPECT_EQ(headers.Count("a"), 2u);
  EXPECT_EQ(headers.Find("c"), nullptr);
  EXPECT_EQ(headers.Get("c"), "");
  EXPECT_EQ(headers.list_bytes(), 3u * 34);
}

TEST(Headers, StatusIsThreeDigitsOrNothing) {
  const struct {
    const char* text;
    int want;
  } cases[] = {{"200", 200}, {"099", 0}, {"20", 0},  {"2000", 0},
               {"2x0", 0},   {"", 0},    {"-10", 0}, {"999", 999}};
  for (const auto& c : cases) EXPECT_EQ((Headers{{":status", c.text}}).status(), c.want) << c.text;
}

}  // namespace
}  // namespace heddle::http
