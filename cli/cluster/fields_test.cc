#include "cli/cluster/fields.h"

#include <gtest/gtest.h>

namespace heddle::cli {
namespace {

using Json = nlohmann::json;

TEST(Fields, ReadWhatIsMissingOrOfAnotherTypeAsAbsent) {
  const Json object = {{"metadata", {{"name", "a"}, {"namespace", 3}}},
                       {"spec", {{"port", "80"}, {"on", true}}}};
  EXPECT_EQ(FullName(object), "a");
  EXPECT_EQ(Text(object, {"spec", "port"}), "80");
  EXPECT_EQ(Integer(object, {"spec", "port"}), std::nullopt);
  EXPECT_EQ(Text(object, {"spec", "port", "deeper"}), "");
  EXPECT_TRUE(Member(object, {"status", "x"}).is_null());
  EXPECT_TRUE(IsTrue(object, {"spec", "on"}));
  EXPECT_FALSE(IsTrue(Json::array(), {"spec", "on"}));
  EXPECT_EQ(FullName(Json("text")), "");
}

TEST(Selects, JoinsLabelsAndExpressionsByAnd) {
  const Json pod = {{"metadata", {{"labels", {{"app", "web"}, {"tier", "front"}}}}}};
  const struct {
    const char* selector;
    bool selects;
  } cases[] = {
      {R"({})", true},
      {R"(null)", true},
      {R"({"matchLabels": {"app": "web"}})", true},
      {R"({"matchLabels": {"app": "web", "tier": "back"}})", false},
      {R"({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "api"]}]})",
       true},
      {R"({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]})", false},
      {R"({"matchExpressions": [{"key": "none", "operator": "NotIn", "values": ["web"]}]})", true},
      {R"({"matchExpressions": [{"key": "tier", "operator": "Exists"}]})", true},
      {R"({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]})", false},
      {R"({"matchExpressions": [{"key": "tier", "operator": "Later"}]})", false},
      {R"({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]})",
       false},
  };
  for (const auto& c : cases)
    EXPECT_EQ(Selects(Json::parse(c.selector), pod), c.selects) << c.selector;
}

}  // namespace
}  // namespace heddle::cli
