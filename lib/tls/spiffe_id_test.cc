#include "lib/tls/spiffe_id.h"

#include <absl/container/flat_hash_set.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::tls {
namespace {

using testing::HasSubstr;

TEST(SpiffeId, TellsItsParts) {
  auto id = SpiffeId::Parse("spiffe://cluster.local/ns/default/sa/sleep");
  ASSERT_TRUE(id.ok()) << id.status();
  EXPECT_EQ(id->trust_domain(), "cluster.local");
  EXPECT_EQ(id->name_space(), "default");
  EXPECT_EQ(id->service_account(), "sleep");
  EXPECT_EQ(id->ToString(), "spiffe://cluster.local/ns/default/sa/sleep");
}

TEST(SpiffeId, IsTheSameWhetherParsedOrCreated) {
  auto created = SpiffeId::Create("td", "a", "b");
  auto parsed = SpiffeId::Parse("spiffe://td/ns/a/sa/b");
  auto other = SpiffeId::Parse("spiffe://td/ns/a/sa/c");
  ASSERT_TRUE(created.ok() && parsed.ok() && other.ok());
  EXPECT_EQ(*created, *parsed);
  EXPECT_LT(*parsed, *other);
  const absl::flat_hash_set<SpiffeId> set = {*created, *parsed, *other};
  EXPECT_EQ(set.size(), 2u);
}

TEST(SpiffeId, RefusesEverythingThatIsNotExactlyTheForm) {
  const struct {
    std::string_view uri, why;
  } kCases[] = {
      {"", "does not begin"},
      {"spiffe:/td/ns/a/sa/b", "does not begin"},
      {"SPIFFE://td/ns/a/sa/b", "does not begin"},
      {"https://td/ns/a/sa/b", "does not begin"},
      {" spiffe://td/ns/a/sa/b", "does not begin"},
      {"spiffe://td", "too few segments"},
      {"spiffe://td/ns/a/sa", "too few segments"},
      {"spiffe://td/ns/a/sa/b/c", "too many segments"},
      {"spiffe://td/ns/a/sa/b/", "too many segments"},
      {"spiffe://td/NS/a/sa/b", "not called ns and sa"},
      {"spiffe://td/sa/a/ns/b", "not called ns and sa"},
      {"spiffe:///ns/a/sa/b", "not a trust domain"},
      {"spiffe://TD/ns/a/sa/b", "not a trust domain"},
      {"spiffe://user@td/ns/a/sa/b", "not a trust domain"},
      {"spiffe://td:443/ns/a/sa/b", "not a trust domain"},
      {"spiffe://td/ns//sa/b", "cannot be a namespace"},
      {"spiffe://td/ns/a/sa/", "cannot be a namespace"},
      {"spiffe://td/ns/../sa/b", "cannot be a namespace"},
      {"spiffe://td/ns/a/sa/.", "cannot be a namespace"},
      {"spiffe://td/ns/a/sa/b?x", "cannot be a namespace"},
      {"spiffe://td/ns/a/sa/b#x", "cannot be a namespace"},
      {"spiffe://td/ns/a%2fb/sa/c", "cannot be a namespace"},
      {"spiffe://td/ns/a/sa/b\n", "b\\n"},
      {std::string_view("spiffe://td/ns/a/sa/b\0", 22), "b\\x00"},
      {std::string_view("spiffe://td/ns/a/sa/b\0.evil", 27), "b\\x00.evil"},
      {"spiffe://td/ns/a/sa/\xc3\xa9", "\\xc3\\xa9"},
  };
  for (const auto& test : kCases) {
    auto id = SpiffeId::Parse(test.uri);
    ASSERT_FALSE(id.ok()) << test.uri;
    EXPECT_THAT(id.status().message(), HasSubstr(std::string(test.why))) << test.uri;
  }
}

TEST(SpiffeId, BoundsItsParts) {
  const std::string longest(kMaxSpiffePartBytes, 'a');
  EXPECT_TRUE(SpiffeId::Create(longest, longest, longest).ok());
  EXPECT_FALSE(SpiffeId::Create(longest + "a", "a", "b").ok());
  EXPECT_FALSE(SpiffeId::Create("td", longest + "a", "b").ok());
  EXPECT_FALSE(SpiffeId::Create("td", "a", longest + "a").ok());
  EXPECT_FALSE(SpiffeId::Parse("spiffe://" + std::string(kMaxSpiffeIdBytes, 'a')).ok());
}

TEST(SpiffeId, RefusesAnAttemptToSmuggleASegmentIntoAPart) {
  EXPECT_FALSE(SpiffeId::Create("td/ns/x/sa/y", "a", "b").ok());
  EXPECT_FALSE(SpiffeId::Create("td", "a/sa/b", "c").ok());
}

}  // namespace
}  // namespace heddle::tls
