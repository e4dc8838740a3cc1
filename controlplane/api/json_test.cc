#include "controlplane/api/json.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/decode.h"
#include "controlplane/api/yaml.h"

namespace heddle::controlplane::api {
namespace {

using testing::HasSubstr;

void ExpectSame(const Tree& a, const Tree& b, const std::string& path) {
  EXPECT_EQ(a.kind, b.kind) << path;
  EXPECT_EQ(a.text, b.text) << path;
  ASSERT_EQ(a.items.size(), b.items.size()) << path;
  ASSERT_EQ(a.members.size(), b.members.size()) << path;
  for (size_t i = 0; i < a.items.size(); ++i)
    ExpectSame(a.items[i], b.items[i], absl::StrCat(path, "[", i, "]"));
  for (size_t i = 0; i < a.members.size(); ++i) {
    EXPECT_EQ(a.members[i].key, b.members[i].key) << path;
    ExpectSame(a.members[i].value, b.members[i].value, path + "." + a.members[i].key);
  }
}

std::string Reason(std::string_view text) {
  return std::string(ParseJson(text).status().message());
}

TEST(ParseJson, GivesTheTreeThatYamlGives) {
  const char* text =
      R"({"a": "text", "b": [1, -2, 3.50, 1e3, true, false, null, "", "true", "1"],
          "c": {"d": {}, "e": []}, "f\n\u00e9": "\"\\\u0041", "big": 18446744073709551615})";
  const auto tree = ParseJson(text);
  ASSERT_TRUE(tree.ok()) << tree.status();
  std::vector<Tree> documents;
  ASSERT_TRUE(ParseYaml(text, documents).ok());
  ExpectSame(*tree, documents.at(0), "");
}

TEST(ParseJson, LeavesManagedFieldsOutAndNothingElse) {
  const auto tree = ParseJson(
      R"({"metadata":{"managedFields":[{"a":{"f:b":{}}}],"name":"x"},"managedFields":1,
          "spec":{"managedFields":2}})");
  ASSERT_TRUE(tree.ok()) << tree.status();
  ASSERT_EQ(tree->members.size(), 3U);
  ASSERT_EQ(tree->members[0].value.members.size(), 1U);
  EXPECT_EQ(tree->members[0].value.members[0].key, "name");
  EXPECT_EQ(tree->members[2].value.members.size(), 1U);
}

TEST(ParseJson, RefusesWhatIsNotOneObjectWithinLimits) {
  EXPECT_THAT(Reason(""), HasSubstr("is not JSON at byte"));
  EXPECT_THAT(Reason("{} {}"), HasSubstr("is not JSON at byte"));
  EXPECT_THAT(Reason(R"({"a":1,})"), HasSubstr("is not JSON at byte"));
  EXPECT_THAT(Reason("{\"a\":\"\xff\"}"), HasSubstr("is not JSON at byte"));
  EXPECT_THAT(Reason(R"({"a":1,"a":2})"), HasSubstr("\"a\" is given twice"));
  EXPECT_TRUE(ParseJson(std::string(kMaxJsonDepth, '[') + std::string(kMaxJsonDepth, ']')).ok());
  EXPECT_THAT(Reason(std::string(kMaxJsonDepth + 1, '[')), HasSubstr("nested too deeply"));
  std::string many = "[1";
  for (size_t i = 0; i < kMaxJsonParts; ++i) many += ",1";
  EXPECT_THAT(Reason(many + "]"), HasSubstr("too many parts"));
}

TEST(ParseJson, FindsADoubleAmongManyKeys) {
  std::string text = "{";
  for (int i = 0; i < 100; ++i) absl::StrAppend(&text, "\"k", i, "\":1,");
  EXPECT_TRUE(ParseJson(text + "\"other\":1}").ok());
  EXPECT_THAT(Reason(text + "\"k70\":1}"), HasSubstr("\"k70\" is given twice"));
}

TEST(DecodeObject, NeedsNoKindAndRefusesWithAStandIn) {
  const auto pod = ParseJson(
      R"({"metadata":{"name":"web","namespace":"shop","uid":"u"},"spec":{"nodeName":"n1"}})");
  ASSERT_TRUE(pod.ok());
  const Decoded decoded = DecodeObject(Kind::kPod, *pod);
  ASSERT_TRUE(decoded.object.has_value()) << decoded.reason;
  EXPECT_EQ(decoded.key, (ObjectKey{Kind::kPod, {"shop", "web"}}));

  const auto policy =
      ParseJson(R"({"metadata":{"name":"p","namespace":"shop"},"spec":{"action":"NONSENSE"}})");
  ASSERT_TRUE(policy.ok());
  const Decoded refused = DecodeObject(Kind::kAuthorizationPolicy, *policy);
  EXPECT_FALSE(refused.object.has_value());
  EXPECT_TRUE(refused.stand_in.has_value());
  EXPECT_EQ(refused.key, (ObjectKey{Kind::kAuthorizationPolicy, {"shop", "p"}}));
}

TEST(RefuseObject, StandsInForPoliciesOnly) {
  const Decoded policy =
      RefuseObject({Kind::kAuthorizationPolicy, {"shop", "p"}}, "is not JSON at byte 3");
  EXPECT_EQ(policy.reason, "is not JSON at byte 3");
  ASSERT_TRUE(policy.stand_in.has_value());
  EXPECT_EQ(KeyOf(*policy.stand_in), (ObjectKey{Kind::kAuthorizationPolicy, {"shop", "p"}}));
  EXPECT_FALSE(RefuseObject({Kind::kPod, {"shop", "p"}}, "x").stand_in.has_value());
}

}  // namespace
}  // namespace heddle::controlplane::api
