#include "controlplane/sources/latest_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/json.h"

namespace heddle::controlplane::sources {
namespace {

using api::Kind;
using api::ObjectKey;
using testing::ElementsAre;
using testing::IsEmpty;
using Effect = api::Problem::Effect;

const ObjectKey kPolicy = {Kind::kAuthorizationPolicy, {"shop", "p"}};
const ObjectKey kPod = {Kind::kPod, {"shop", "web"}};

api::Decoded Policy(const std::string& action) {
  const auto tree =
      api::ParseJson(R"({"metadata":{"name":"p","namespace":"shop"},"spec":{"action":")" + action +
                     R"(","rules":[{}]}})");
  return api::DecodeObject(Kind::kAuthorizationPolicy, *tree);
}
api::Decoded Pod(const std::string& node) {
  const auto tree = api::ParseJson(
      R"({"metadata":{"name":"web","namespace":"shop"},"spec":{"nodeName":")" + node + R"("}})");
  return api::DecodeObject(Kind::kPod, *tree);
}

std::vector<std::string> Keys(const api::StoreDiff& diff) {
  std::vector<std::string> keys;
  for (const api::Object& object : diff.upserted) keys.push_back("+" + KeyOf(object).ToString());
  for (const ObjectKey& key : diff.removed) keys.push_back("-" + key.ToString());
  return keys;
}

TEST(LatestObjects, TellsEachChangeOnceAndOnlyChanges) {
  LatestObjects objects;
  objects.Set(kPod, Pod("n1"));
  EXPECT_THAT(Keys(objects.TakeDiff()), ElementsAre("+Pod shop/web"));
  objects.Set(kPod, Pod("n1"));
  EXPECT_THAT(Keys(objects.TakeDiff()), IsEmpty()) << "nothing that counts has changed";
  objects.Set(kPod, Pod("n2"));
  objects.Remove(kPod);
  EXPECT_THAT(Keys(objects.TakeDiff()), ElementsAre("-Pod shop/web"));
  objects.Remove(kPod);
  EXPECT_THAT(Keys(objects.TakeDiff()), IsEmpty());
  EXPECT_EQ(objects.size(), 0U);
}

TEST(LatestObjects, ARefusedObjectKeepsItsLastGoodVersion) {
  LatestObjects objects;
  objects.Set(kPolicy, Policy("ALLOW"));
  (void)objects.TakeDiff();
  objects.Set(kPolicy, Policy("NONSENSE"));
  EXPECT_THAT(Keys(objects.TakeDiff()), IsEmpty());
  ASSERT_EQ(objects.Problems().size(), 1U);
  EXPECT_EQ(objects.Problems()[0].effect, Effect::kLastGoodKept);
  EXPECT_EQ(objects.Problems()[0].object, kPolicy);
  objects.Set(kPolicy, Policy("DENY"));
  EXPECT_THAT(Keys(objects.TakeDiff()), ElementsAre("+AuthorizationPolicy shop/p"));
  EXPECT_THAT(objects.Problems(), IsEmpty());
}

TEST(LatestObjects, APolicyThatNeverWasGoodIsReplacedByItsStandIn) {
  LatestObjects objects;
  objects.Set(kPolicy, Policy("NONSENSE"));
  EXPECT_THAT(Keys(objects.TakeDiff()), ElementsAre("+AuthorizationPolicy shop/p"));
  ASSERT_EQ(objects.Problems().size(), 1U);
  EXPECT_EQ(objects.Problems()[0].effect, Effect::kDenyAll);
  EXPECT_EQ(objects.Problems()[0].ToString().substr(0, 28), "AuthorizationPolicy shop/p: ");
  objects.Remove(kPolicy);
  EXPECT_THAT(Keys(objects.TakeDiff()), ElementsAre("-AuthorizationPolicy shop/p"));
  EXPECT_THAT(objects.Problems(), IsEmpty());
}

TEST(LatestObjects, AnObjectUnderAnotherNameIsRefused) {
  LatestObjects objects;
  objects.Set({Kind::kPod, {"shop", "other"}}, Pod("n1"));
  EXPECT_THAT(Keys(objects.TakeDiff()), IsEmpty());
  EXPECT_EQ(objects.Problems().size(), 1U);
}

}  // namespace
}  // namespace heddle::controlplane::sources
