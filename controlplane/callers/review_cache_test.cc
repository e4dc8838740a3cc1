#include "controlplane/callers/review_cache.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

namespace heddle::controlplane::callers {
namespace {

using Verdict = ReviewCache::Verdict;

const Verdict kAdmitted = ReviewedToken{
    .account = {"heddle-system", "heddle-agent"}, .pod = {"heddle-system", "a"}, .pod_uid = "u"};
const Verdict kRefused = Unexpected<Refusal>(Refusal{Reason::kTokenInvalid, "no"});

MonotonicTime At(absl::Duration since) {
  return MonotonicTime::FromNanoseconds(absl::ToInt64Nanoseconds(since));
}

TEST(ReviewCache, KeepsVerdictsAsLongAsTheyMayCount) {
  const struct {
    const char* name;
    Verdict verdict;
    absl::Duration left;  // Of the token.
    absl::Duration age;
    bool fresh;
    bool stale;
  } cases[] = {
      {"just admitted", kAdmitted, absl::Hours(1), absl::ZeroDuration(), true, true},
      {"admitted lately", kAdmitted, absl::Hours(1), absl::Seconds(59), true, true},
      {"admitted a minute ago", kAdmitted, absl::Hours(1), absl::Seconds(60), false, true},
      {"while the server is away", kAdmitted, absl::Hours(1), absl::Minutes(14), false, true},
      {"away too long", kAdmitted, absl::Hours(1), absl::Minutes(15), false, false},
      {"expired since", kAdmitted, absl::Seconds(30), absl::Seconds(30), false, false},
      {"about to expire", kAdmitted, absl::Seconds(30), absl::Seconds(29), true, true},
      {"expired for the server's clock only", kAdmitted, -absl::Seconds(1), absl::ZeroDuration(),
       false, false},
      {"without an end", kAdmitted, absl::InfiniteDuration(), absl::Minutes(14), false, true},
      {"just refused", kRefused, absl::Hours(1), absl::Seconds(9), true, false},
      {"refused before", kRefused, absl::Hours(1), absl::Seconds(10), false, false},
  };
  for (const auto& test : cases) {
    ReviewCache cache(ReviewCacheLimits{});
    cache.Put("token", test.verdict, At(absl::Hours(1)), test.left);
    const MonotonicTime now = At(absl::Hours(1) + test.age);
    EXPECT_EQ(cache.Fresh("token", now).has_value(), test.fresh) << test.name;
    EXPECT_EQ(cache.Stale("token", now).has_value(), test.stale) << test.name;
    EXPECT_FALSE(cache.Fresh("another", now).has_value()) << test.name;
  }
}

TEST(ReviewCache, ALaterVerdictReplacesTheEarlier) {
  ReviewCache cache(ReviewCacheLimits{});
  cache.Put("token", kAdmitted, At(absl::ZeroDuration()), absl::Hours(1));
  cache.Put("token", kRefused, At(absl::Seconds(70)), absl::Hours(1));
  EXPECT_EQ(cache.size(), 1U);
  EXPECT_EQ(*cache.Fresh("token", At(absl::Seconds(71))), kRefused);
  EXPECT_FALSE(cache.Stale("token", At(absl::Seconds(71))).has_value());
}

TEST(ReviewCache, StrangersDoNotPushOutAgents) {
  ReviewCache cache({.admitted_max = 2, .refused_max = 3});
  const MonotonicTime now = At(absl::Seconds(1));
  cache.Put("agent", kAdmitted, now, absl::Hours(1));
  for (int i = 0; i < 100; ++i)
    cache.Put(absl::StrCat("stranger", i), kRefused, now, absl::Hours(1));
  EXPECT_EQ(cache.size(), 4U);
  EXPECT_TRUE(cache.Fresh("agent", now).has_value());
  EXPECT_FALSE(cache.Fresh("stranger0", now).has_value());
  EXPECT_TRUE(cache.Fresh("stranger99", now).has_value());
  cache.Put("second", kAdmitted, now, absl::Hours(1));
  cache.Put("third", kAdmitted, now, absl::Hours(1));
  EXPECT_FALSE(cache.Fresh("agent", now).has_value()) << "the oldest goes";
}

}  // namespace
}  // namespace heddle::controlplane::callers
