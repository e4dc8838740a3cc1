#include "controlplane/sources/object_claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/api/yaml.h"

namespace heddle::controlplane::sources {
namespace {

using api::Decoded;
using api::Problem;
using testing::HasSubstr;

std::vector<Decoded> Objects(std::string_view text) {
  std::vector<api::Tree> documents;
  EXPECT_TRUE(api::ParseYaml(text, documents).ok()) << text;
  std::vector<Decoded> all;
  for (const api::Tree& document : documents) {
    for (Decoded& decoded : api::DecodeDocument(document, "x")) all.push_back(std::move(decoded));
  }
  return all;
}

std::string Namespace(std::string_view name, std::string_view label = "v") {
  return "{apiVersion: v1, kind: Namespace, metadata: {name: " + std::string(name) +
         ", labels: {l: " + std::string(label) + "}}}\n";
}

std::string Policy(std::string_view spec) {
  return "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: p}, "
         "spec: " +
         std::string(spec) + "}\n";
}

std::string_view LabelOf(const api::Object& object) { return api::MetaOf(object).Label("l"); }

TEST(ObjectClaims, TellsOnlyDifferences) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Namespace("x") + "---\n" + Namespace("y")));
  EXPECT_EQ(claims.TakeDiff().upserted.size(), 2u);
  claims.SetFile("a", Objects(Namespace("x") + "---\n" + Namespace("y", "w")));
  const api::StoreDiff changed = claims.TakeDiff();
  ASSERT_EQ(changed.upserted.size(), 1u);
  EXPECT_EQ(LabelOf(changed.upserted[0]), "w");
  claims.RemoveFile("a");
  EXPECT_EQ(claims.TakeDiff().removed.size(), 2u);
  EXPECT_TRUE(claims.TakeDiff().empty());
}

TEST(ObjectClaims, HoldsAnObjectThatCameAnewUnchangedOnce) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Namespace("x")));
  const auto told =
      std::get<std::shared_ptr<const api::Namespace>>(claims.TakeDiff().upserted.at(0));
  claims.SetFile("a", Objects(Namespace("x")));
  EXPECT_TRUE(claims.TakeDiff().empty());
  EXPECT_EQ(told.use_count(), 2) << "here, and in the file";
}

TEST(ObjectClaims, DoesNotLoseAnObjectThatMovesBetweenFiles) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Namespace("x")));
  claims.TakeDiff();
  claims.RemoveFile("a");
  claims.SetFile("b", Objects(Namespace("x")));
  EXPECT_TRUE(claims.TakeDiff().empty());
  EXPECT_TRUE(claims.Problems().empty());
}

TEST(ObjectClaims, ReportsADuplicateAndFallsBackToItWhenTheFirstGoes) {
  ObjectClaims claims;
  claims.SetFile("b", Objects(Namespace("x", "first")));
  claims.TakeDiff();
  claims.SetFile("a", Objects(Namespace("x", "second")));
  EXPECT_TRUE(claims.TakeDiff().empty());
  ASSERT_EQ(claims.Problems().size(), 1u);
  EXPECT_EQ(claims.Problems()[0].ToString(),
            "a:1: Namespace x: is also in b, which had it first and counts; it has no effect");
  claims.RemoveFile("b");
  const api::StoreDiff diff = claims.TakeDiff();
  ASSERT_EQ(diff.upserted.size(), 1u);
  EXPECT_EQ(LabelOf(diff.upserted[0]), "second");
  EXPECT_TRUE(claims.Problems().empty());
}

TEST(ObjectClaims, ReportsADuplicateInOneFile) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Namespace("x", "first") + "---\n" + Namespace("x", "second")));
  EXPECT_EQ(LabelOf(claims.TakeDiff().upserted.at(0)), "first");
  ASSERT_EQ(claims.Problems().size(), 1u);
  EXPECT_EQ(claims.Problems()[0].line, 3);
}

TEST(ObjectClaims, KeepsAllLastGoodObjectsOfABrokenFile) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Namespace("x")));
  claims.TakeDiff();
  claims.SetFileProblem("a", 7, "end of map not found");
  EXPECT_TRUE(claims.TakeDiff().empty());
  EXPECT_EQ(claims.Problems().at(0).ToString(),
            "a:7: end of map not found; the last good version stays in effect");
  claims.SetFile("a", Objects(Namespace("x")));
  EXPECT_TRUE(claims.Problems().empty());
}

TEST(ObjectClaims, KeepsTheLastGoodVersionOfARefusedObject) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Policy("{action: ALLOW}")));
  claims.TakeDiff();
  claims.SetFile("a", Objects(Policy("{actoin: DENY}")));
  EXPECT_TRUE(claims.TakeDiff().empty());
  ASSERT_EQ(claims.Problems().size(), 1u);
  EXPECT_EQ(claims.Problems()[0].effect, Problem::Effect::kLastGoodKept);
  EXPECT_THAT(claims.Problems()[0].ToString(),
              HasSubstr("a:1: AuthorizationPolicy default/p: unknown field"));
}

TEST(ObjectClaims, LetsAStandInDenyForAPolicyThatNeverWasGood) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Policy("{actoin: DENY}")));
  const api::StoreDiff refused = claims.TakeDiff();
  ASSERT_EQ(refused.upserted.size(), 1u);
  EXPECT_TRUE(
      std::get<std::shared_ptr<const api::AuthorizationPolicy>>(refused.upserted[0])->stand_in);
  EXPECT_EQ(claims.Problems().at(0).effect, Problem::Effect::kDenyAll);

  claims.SetFile("a", Objects(Policy("{selector: {matchLabels: {a: b}}, actoin: DENY}")));
  EXPECT_EQ(claims.TakeDiff().upserted.size(), 1u) << "a stand-in is no last good version";

  claims.SetFile("a", Objects(Policy("{action: ALLOW}")));
  EXPECT_FALSE(
      std::get<std::shared_ptr<const api::AuthorizationPolicy>>(claims.TakeDiff().upserted.at(0))
          ->stand_in);
  EXPECT_TRUE(claims.Problems().empty());
}

TEST(ObjectClaims, ForgetsTheLastGoodVersionWhenTheObjectIsRemoved) {
  ObjectClaims claims;
  claims.SetFile("a", Objects(Policy("{action: ALLOW}")));
  claims.TakeDiff();
  claims.SetFile("a", {});
  claims.TakeDiff();
  claims.SetFile("a", Objects(Policy("{actoin: DENY}")));
  EXPECT_TRUE(
      std::get<std::shared_ptr<const api::AuthorizationPolicy>>(claims.TakeDiff().upserted.at(0))
          ->stand_in);
}

}  // namespace
}  // namespace heddle::controlplane::sources
