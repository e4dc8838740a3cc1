#include "lib/kube/object.h"

#include <gtest/gtest.h>

namespace heddle::kube {
namespace {

TEST(ReadObject, FindsWhatIdentifiesAnObject) {
  const char* text =
      R"({"kind":"Pod","spec":{"metadata":{"name":"no"}},
          "metadata":{"labels":{"name":"no"},"name":"web","namespace":"shop","resourceVersion":"7"}})";
  const auto object = ReadObject(text);
  ASSERT_TRUE(object.has_value());
  EXPECT_EQ(object->name, (ObjectName{"shop", "web"}));
  EXPECT_EQ(object->resource_version, "7");
  EXPECT_EQ(object->json, text);
}

TEST(ReadObject, RefusesWhatIsNone) {
  for (const char* text : {"", "{}", "[]", R"({"metadata":3})", R"({"metadata":{"name":3}})",
                           R"({"metadata":{"name":"a")"})
    EXPECT_FALSE(ReadObject(text).has_value()) << text;
}

TEST(ReadListPage, ReadsVersionTokenAndItems) {
  const auto page = ReadListPage(
      R"({"kind":"PodList","metadata":{"resourceVersion":"12","continue":"abc"},"items":[{"a":1}]})");
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->resource_version, "12");
  EXPECT_EQ(page->continue_token, "abc");
  EXPECT_EQ(page->items, R"([{"a":1}])");
  const auto empty = ReadListPage(R"({"metadata":{"resourceVersion":"12"},"items":null})");
  ASSERT_TRUE(empty.has_value());
  EXPECT_EQ(empty->items, "[]");
}

TEST(ReadListPage, RefusesWhatCannotBeWatchedFrom) {
  for (const char* text : {"", "{}", R"({"items":[]})", R"({"metadata":{},"items":[]})",
                           R"({"metadata":{"resourceVersion":"1"},"items":{}})",
                           R"({"metadata":{"resourceVersion":"1"},"items":[)"})
    EXPECT_FALSE(ReadListPage(text).has_value()) << text;
}

TEST(ReadApiStatus, PrefersWhatTheBodySays) {
  const ApiStatus status = ReadApiStatus(
      200, R"({"kind":"Status","code":410,"reason":"Expired","message":"too old\u0007"})");
  EXPECT_EQ(status.code, 410);
  EXPECT_EQ(status.reason, "Expired");
  EXPECT_EQ(status.message, "too old?");
}

TEST(ReadApiStatus, MakesDoWithTheFirstLineOfOtherBodies) {
  const ApiStatus status = ReadApiStatus(404, "404 page not found\nmore");
  EXPECT_EQ(status.code, 404);
  EXPECT_EQ(status.message, "404 page not found");
  EXPECT_EQ(ReadApiStatus(503, std::string(100'000, 'x')).message.size(), kMaxMessageBytes);
  EXPECT_EQ(ReadApiStatus(503, R"({"kind":"Status","code":-1})").code, 503);
}

TEST(ReadWatchEvent, ReadsEveryType) {
  const struct {
    const char* type;
    WatchEvent::Type want;
  } kCases[] = {{"ADDED", WatchEvent::Type::kUpsert},
                {"MODIFIED", WatchEvent::Type::kUpsert},
                {"DELETED", WatchEvent::Type::kDelete},
                {"BOOKMARK", WatchEvent::Type::kBookmark}};
  for (const auto& test : kCases) {
    const std::string line = std::string(R"({"type":")") + test.type +
                             R"(","object":{"metadata":{"name":"a","resourceVersion":"3"}}})";
    const auto event = ReadWatchEvent(line);
    ASSERT_TRUE(event.has_value()) << test.type;
    EXPECT_EQ(event->type, test.want);
    EXPECT_EQ(event->object.resource_version, "3");
  }
  const auto error =
      ReadWatchEvent(R"({"type":"ERROR","object":{"kind":"Status","code":410,"message":"old"}})");
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->type, WatchEvent::Type::kError);
  EXPECT_EQ(error->error.code, 410);
}

TEST(ReadWatchEvent, TakesABookmarkWithoutANameAndNothingElseWithout) {
  EXPECT_TRUE(
      ReadWatchEvent(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"3"}}})"));
  for (const char* line :
       {"", "{}", R"({"type":"ADDED"})",
        R"({"type":"NEW","object":{"metadata":{"name":"a","resourceVersion":"3"}}})",
        R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"3"}}})",
        R"({"type":"ADDED","object":{"metadata":{"name":"a"}}})",
        R"({"type":"BOOKMARK","object":{"metadata":{}}})"})
    EXPECT_FALSE(ReadWatchEvent(line).has_value()) << line;
}

}  // namespace
}  // namespace heddle::kube
