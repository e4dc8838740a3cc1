#include "lib/kube/reflector_state.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "lib/kube/json_cursor.h"

namespace heddle::kube {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;
using Phase = ReflectorState::Phase;
using Step = ReflectorState::Step;

std::string Json(std::string_view name, int version) {
  return absl::StrCat(R"({"metadata":{"name":")", std::string(name),
                      R"(","namespace":"shop","resourceVersion":")", version, R"("}})");
}

std::string Event(std::string_view type, std::string_view name, int version) {
  return absl::StrCat(R"({"type":")", std::string(type), R"(","object":)", Json(name, version),
                      "}");
}

class ReflectorStateTest : public testing::Test, public ObjectSink {
 public:
  void OnObject(const RawObject& object) override {
    told.push_back(absl::StrCat("+", object.name.name, "@", object.resource_version));
  }
  void OnGone(const ObjectName& name) override { told.push_back("-" + name.name); }

  ReflectorState Make(ReflectorOptions options = {}) {
    if (options.paths.empty()) options.paths = {"/api/v1/pods"};
    return ReflectorState(std::move(options), *this, random);
  }
  static void Page(ReflectorState& state, int version, const std::vector<std::string>& items,
                   std::string token = "") {
    const ListPage page{absl::StrCat(version), std::move(token), ""};
    ASSERT_TRUE(state.BeginPage(&page));
    for (const std::string& item : items) state.OnItem(item);
    state.EndPage(true);
  }
  // Listed and watching.
  ReflectorState Following(ReflectorOptions options = {}) {
    ReflectorState state = Make(std::move(options));
    (void)state.Next();
    Page(state, 10, {Json("a", 1), Json("b", 2)});
    (void)state.Next();
    state.OnWatchOpened(now);
    told.clear();
    return state;
  }

  SeededRandom random{1};
  MonotonicTime now = MonotonicTime::FromNanoseconds(1'000'000'000);
  std::vector<std::string> told;
};

TEST_F(ReflectorStateTest, ListsInPagesAndWatchesFromTheListsVersion) {
  ReflectorState state = Make({.page_objects = 2});
  EXPECT_EQ(state.Next().path, "/api/v1/pods?limit=2");
  Page(state, 10, {Json("a", 1), Json("b", 2)}, "t/+=");
  EXPECT_FALSE(state.synced());
  EXPECT_EQ(state.Next().path, "/api/v1/pods?limit=2&continue=t%2f%2b%3d");
  Page(state, 10, {Json("c", 3)});
  EXPECT_TRUE(state.synced());
  EXPECT_THAT(told, ElementsAre("+a@1", "+b@2", "+c@3"));
  const auto action = state.Next();
  EXPECT_EQ(action.step, Step::kWatch);
  EXPECT_EQ(action.wait, absl::ZeroDuration());
  EXPECT_THAT(action.path,
              StartsWith("/api/v1/pods?watch=true&allowWatchBookmarks=true&timeoutSeconds="));
  EXPECT_THAT(action.path, HasSubstr("&resourceVersion=10"));
}

TEST_F(ReflectorStateTest, TellsEventsOnceAndResumesFromTheLastVersion) {
  ReflectorState state = Following();
  EXPECT_TRUE(state.OnWatchLine(Event("ADDED", "c", 11), now));
  EXPECT_TRUE(state.OnWatchLine(Event("MODIFIED", "a", 12), now));
  EXPECT_TRUE(state.OnWatchLine(Event("MODIFIED", "a", 12), now));
  EXPECT_TRUE(state.OnWatchLine(Event("DELETED", "b", 13), now));
  EXPECT_TRUE(state.OnWatchLine(Event("DELETED", "b", 13), now));
  EXPECT_TRUE(state.OnWatchLine(Event("BOOKMARK", "", 40), now));
  EXPECT_THAT(told, ElementsAre("+c@11", "+a@12", "-b"));
  state.OnWatchEnded("", now);
  const auto action = state.Next();
  EXPECT_EQ(action.step, Step::kWatch);
  EXPECT_LE(action.wait, absl::Milliseconds(200));
  EXPECT_THAT(action.path, HasSubstr("&resourceVersion=40"));
}

TEST_F(ReflectorStateTest, AnExpiredVersionIsAListThatTellsDifferences) {
  for (const bool as_event : {true, false}) {
    ReflectorState state = Following();
    if (as_event) {
      EXPECT_FALSE(state.OnWatchLine(
          R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired"}})", now));
      state.OnWatchEnded("", now);
    } else {
      state.OnRefused({.code = 410, .reason = "Expired"}, {}, now);
    }
    EXPECT_THAT(told, IsEmpty());
    EXPECT_EQ(state.Next().path, "/api/v1/pods?limit=500");
    Page(state, 50, {Json("a", 1), Json("c", 3)});
    EXPECT_THAT(told, ElementsAre("+c@3", "-b"));
    EXPECT_TRUE(state.trouble().empty());
    EXPECT_EQ(state.stats().expired, 1U);
  }
}

TEST_F(ReflectorStateTest, AnExpiredTokenBeginsTheListAnew) {
  ReflectorState state = Following();
  state.OnRefused({.code = 410}, {}, now);
  (void)state.Next();
  Page(state, 50, {Json("a", 1)}, "token");
  state.OnRefused({.code = 410}, {}, now);
  EXPECT_EQ(state.Next().path, "/api/v1/pods?limit=500");
  Page(state, 60, {Json("b", 2)});
  EXPECT_THAT(told, ElementsAre("-a")) << "seen by the list that was broken off, not by this one";
}

TEST_F(ReflectorStateTest, RelistsThatFollowEachOtherWait) {
  ReflectorState state = Following();
  EXPECT_TRUE(state.OnWatchLine(Event("ADDED", "c", 11), now));
  state.OnRefused({.code = 410}, {}, now);
  EXPECT_EQ(state.Next().wait, absl::ZeroDuration());
  absl::Duration last;
  for (int i = 0; i < 12; ++i) {
    Page(state, 50, {});
    (void)state.Next();
    state.OnRefused({.code = 410}, {}, now);
    last = state.Next().wait;
    EXPECT_GT(last, absl::ZeroDuration());
  }
  EXPECT_GE(last, absl::Seconds(15));
  EXPECT_LE(last, absl::Seconds(30));
}

TEST_F(ReflectorStateTest, ThoseWhoFailTogetherDoNotComeBackTogether) {
  std::set<absl::Duration> waits;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SeededRandom own(seed);
    ReflectorState state({.paths = {"/api/v1/pods"}}, *this, own);
    (void)state.Next();
    state.OnFailure("the API server was restarted");
    const absl::Duration wait = state.Next().wait;
    EXPECT_GE(wait, absl::Milliseconds(100));
    EXPECT_LE(wait, absl::Milliseconds(200));
    waits.insert(wait);
  }
  EXPECT_GT(waits.size(), 40U);
  EXPECT_GT(*waits.rbegin() - *waits.begin(), absl::Milliseconds(80));
}

TEST_F(ReflectorStateTest, AFailedConnectionGoesOnWhereItWas) {
  ReflectorState state = Make();
  (void)state.Next();
  Page(state, 10, {Json("a", 1)}, "token");
  (void)state.Next();
  state.OnFailure("no connection");
  EXPECT_EQ(state.trouble(), "no connection");
  const auto list = state.Next();
  EXPECT_GT(list.wait, absl::ZeroDuration());
  EXPECT_THAT(list.path, HasSubstr("continue=token"));
  Page(state, 10, {});
  EXPECT_TRUE(state.trouble().empty());
  (void)state.Next();
  state.OnFailure("no connection");
  EXPECT_EQ(state.Next().step, Step::kWatch);
  EXPECT_THAT(told, ElementsAre("+a@1"));
}

TEST_F(ReflectorStateTest, AServerThatIsBackIsNotMadeToWaitForItsAbsence) {
  ReflectorState state = Following();
  for (int i = 0; i < 12; ++i) state.OnFailure("no connection");
  EXPECT_TRUE(state.Next().until_reachable);
  state.OnRefused({.code = 429, .message = "storage is (re)initializing"}, absl::Seconds(1), now);
  const auto action = state.Next();
  EXPECT_FALSE(action.until_reachable);
  EXPECT_EQ(action.wait, absl::Seconds(1));
}

TEST_F(ReflectorStateTest, AKindThatIsNotInstalledIsNoTrouble) {
  ReflectorState state = Make({.paths = {"/apis/g/v1/xs", "/apis/g/v1beta1/xs"}});
  EXPECT_THAT(state.Next().path, StartsWith("/apis/g/v1/xs?"));
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_FALSE(state.synced());
  const auto second = state.Next();
  EXPECT_THAT(second.path, StartsWith("/apis/g/v1beta1/xs?"));
  EXPECT_EQ(second.wait, absl::ZeroDuration());
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_EQ(state.phase(), Phase::kAbsent);
  EXPECT_TRUE(state.synced());
  EXPECT_TRUE(state.trouble().empty());
  EXPECT_EQ(state.stats().failures, 0U);
  const auto again = state.Next();
  EXPECT_THAT(again.path, StartsWith("/apis/g/v1/xs?"));
  EXPECT_GE(again.wait, absl::Seconds(5));
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_THAT(state.Next().path, StartsWith("/apis/g/v1beta1/xs?"));
  Page(state, 10, {Json("a", 1)});
  EXPECT_EQ(state.phase(), Phase::kFollowing);
  EXPECT_THAT(told, ElementsAre("+a@1"));
}

TEST_F(ReflectorStateTest, AKindThatVanishesKeepsItsObjectsUntilThatIsSure) {
  ReflectorState state = Following();
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_THAT(state.trouble(), HasSubstr("the 2 objects of this kind stay"));
  EXPECT_EQ(state.Next().step, Step::kList);
  now = now + absl::Seconds(29);
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_THAT(told, IsEmpty());
  now = now + absl::Seconds(1);
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_THAT(told, ElementsAre("-a", "-b"));
  EXPECT_EQ(state.phase(), Phase::kAbsent);
}

TEST_F(ReflectorStateTest, AKindThatComesBackInTimeLosesNothing) {
  ReflectorState state = Following();
  state.OnRefused({.code = 404}, {}, now);
  (void)state.Next();
  Page(state, 20, {Json("a", 1), Json("b", 2)});
  now = now + absl::Minutes(10);
  (void)state.Next();
  state.OnRefused({.code = 404}, {}, now);
  EXPECT_THAT(told, IsEmpty()) << "the time counts anew";
}

TEST_F(ReflectorStateTest, WhatIsForbiddenIsSaidAndAskedForSlowly) {
  ReflectorState state = Make();
  (void)state.Next();
  state.OnRefused({.code = 403, .reason = "Forbidden", .message = "cannot list pods"}, {}, now);
  EXPECT_EQ(state.trouble(),
            "the server answers 403 Forbidden to the list of /api/v1/pods: cannot list pods");
  EXPECT_FALSE(state.synced());
  EXPECT_GE(state.Next().wait, absl::Seconds(30));
}

TEST_F(ReflectorStateTest, WaitsAsLongAsTheServerAsksWithinReason) {
  ReflectorState state = Following();
  state.OnRefused({.code = 429}, absl::Seconds(7), now);
  EXPECT_EQ(state.Next().wait, absl::Seconds(7));
  state.OnRefused({.code = 503}, absl::Hours(7), now);
  EXPECT_EQ(state.Next().wait, absl::Minutes(2));
}

TEST_F(ReflectorStateTest, WatchesThatEndAtOnceSlowDown) {
  ReflectorState state = Following();
  absl::Duration last;
  for (int i = 0; i < 12; ++i) {
    state.OnWatchEnded("", now);
    last = state.Next().wait;
    state.OnWatchOpened(now);
  }
  EXPECT_GE(last, absl::Seconds(15));
  now = now + absl::Minutes(5);
  state.OnWatchEnded("", now);
  EXPECT_LE(state.Next().wait, absl::Milliseconds(200)) << "a long one was a good one";
}

TEST_F(ReflectorStateTest, AnUnreadableLineOrManyErrorsMakeItListAgain) {
  ReflectorState state = Following();
  EXPECT_FALSE(state.OnWatchLine("garbage", now));
  state.OnWatchEnded("", now);
  auto action = state.Next();
  EXPECT_EQ(action.step, Step::kList);
  EXPECT_GT(action.wait, absl::ZeroDuration());
  Page(state, 20, {Json("a", 1), Json("b", 2)});
  EXPECT_THAT(told, IsEmpty());

  int watches = 0;
  while ((action = state.Next()).step == Step::kWatch && watches < 100) {
    ++watches;
    state.OnWatchOpened(now);
    EXPECT_FALSE(state.OnWatchLine(
        R"({"type":"ERROR","object":{"kind":"Status","code":500,"message":"etcd"}})", now));
    state.OnWatchEnded("", now);
  }
  EXPECT_EQ(watches, 5);
}

TEST_F(ReflectorStateTest, AListWithABadEntryTakesNothingAway) {
  ReflectorState state = Following();
  state.OnRefused({.code = 410}, {}, now);
  (void)state.Next();
  Page(state, 50, {Json("a", 5), R"({"metadata":{}})"});
  EXPECT_THAT(told, ElementsAre("+a@5"));
  EXPECT_THAT(state.trouble(), HasSubstr("not an object"));
  EXPECT_EQ(state.Next().step, Step::kList);
}

TEST_F(ReflectorStateTest, AsksForSmallerPagesWhenOneIsTooLarge) {
  ReflectorState state = Make({.page_objects = 4});
  for (const char* limit : {"limit=4", "limit=2", "limit=1"}) {
    const auto action = state.Next();
    EXPECT_THAT(action.path, HasSubstr(limit));
    EXPECT_EQ(action.wait, absl::ZeroDuration());
    state.OnPageTooLarge();
  }
  EXPECT_GT(state.Next().wait, absl::ZeroDuration());
  EXPECT_THAT(state.trouble(), HasSubstr("larger than we read"));
}

TEST_F(ReflectorStateTest, HoldsNoMoreObjectsThanItsLimit) {
  ReflectorState state = Following({.objects_max = 2});
  EXPECT_TRUE(state.OnWatchLine(Event("MODIFIED", "a", 11), now));
  EXPECT_FALSE(state.OnWatchLine(Event("ADDED", "c", 12), now));
  EXPECT_THAT(told, ElementsAre("+a@11"));
  EXPECT_THAT(state.trouble(), HasSubstr("more than 2 objects"));
}

}  // namespace
}  // namespace heddle::kube
