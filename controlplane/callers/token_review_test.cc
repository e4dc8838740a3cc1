#include "controlplane/callers/token_review.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controlplane/callers/token_claims.h"

namespace heddle::controlplane::callers {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

const std::set<api::NamespacedName> kAccounts = {{"heddle-system", "heddle-agent"}};

// The answer about an agent's token, with changes (RFC 7386).
std::string Answer(const Json& changes = Json::object()) {
  Json json = {{"kind", "TokenReview"},
               {"status",
                {{"authenticated", true},
                 {"audiences", {"heddle-controller"}},
                 {"user",
                  {{"username", "system:serviceaccount:heddle-system:heddle-agent"},
                   {"extra",
                    {{"authentication.kubernetes.io/pod-name", {"heddle-agent-1"}},
                     {"authentication.kubernetes.io/pod-uid", {"uid-1"}},
                     {"authentication.kubernetes.io/node-name", {"n1"}}}}}}}}};
  json.merge_patch(changes);
  return json.dump();
}

Json User(const char* name) { return {{"status", {{"user", {{"username", name}}}}}}; }

Json Extra(const char* key, const Json& value) {
  const std::string name = absl::StrCat("authentication.kubernetes.io/", key);
  return {{"status", {{"user", {{"extra", {{name, value}}}}}}}};
}

TEST(TokenReview, AsksForOurAudience) {
  const Json asked = Json::parse(TokenReviewFor("a.b.c"));
  EXPECT_EQ(asked.at("kind"), "TokenReview");
  EXPECT_EQ(asked.at("spec").at("token"), "a.b.c");
  EXPECT_EQ(asked.at("spec").at("audiences"), Json({kAudience}));
  EXPECT_FALSE(TokenReviewFor("\xff\x01\"").empty()) << "bytes are not text";
}

TEST(TokenReview, ReadsWhatAnAgentsTokenProves) {
  const auto read = ReadTokenReview(Answer(), kAccounts);
  ASSERT_TRUE(read.has_value()) << read.error().sentence;
  EXPECT_EQ(*read, (ReviewedToken{.account = {"heddle-system", "heddle-agent"},
                                  .pod = {"heddle-system", "heddle-agent-1"},
                                  .pod_uid = "uid-1",
                                  .node = "n1"}));
  const auto old = ReadTokenReview(Answer(Extra("node-name", nullptr)), kAccounts);
  ASSERT_TRUE(old.has_value()) << "a server before 1.30";
  EXPECT_THAT(old->node, IsEmpty());
}

TEST(TokenReview, RefusesEverythingElse) {
  const Json denied = {
      {"status", {{"authenticated", false}, {"error", "token has\nexpired"}, {"user", nullptr}}}};
  const struct {
    const char* name;
    std::string answer;
    Reason reason;
    const char* sentence;
  } cases[] = {
      {"no JSON", "oops", Reason::kUnavailable, "cannot be read"},
      {"an array", "[]", Reason::kUnavailable, "cannot be read"},
      {"no status", R"({"status":[]})", Reason::kUnavailable, "cannot be read"},
      {"an empty status", R"({"status":{}})", Reason::kTokenInvalid, "does not take"},
      {"denied", Answer(denied), Reason::kTokenInvalid, "token has?expired"},
      {"true as text", Answer({{"status", {{"authenticated", "true"}}}}), Reason::kTokenInvalid,
       "does not take"},
      {"no audience said", Answer({{"status", {{"audiences", nullptr}}}}), Reason::kAudience,
       "heddle-controller"},
      {"another audience", Answer({{"status", {{"audiences", {"https://kubernetes"}}}}}),
       Reason::kAudience, "heddle-controller"},
      {"no user", Answer({{"status", {{"user", nullptr}}}}), Reason::kServiceAccount,
       "--agent-service-accounts"},
      {"a person", Answer(User("alice")), Reason::kServiceAccount, "is of alice"},
      {"another account", Answer(User("system:serviceaccount:heddle-system:default")),
       Reason::kServiceAccount, "heddle-system:default"},
      {"another namespace", Answer(User("system:serviceaccount:shop:heddle-agent")),
       Reason::kServiceAccount, "shop:heddle-agent"},
      {"a longer name", Answer(User("system:serviceaccount:heddle-system:heddle-agent:x")),
       Reason::kServiceAccount, "not one of"},
      {"a name that only looks so", Answer(User("x:serviceaccount:heddle-system:heddle-agent")),
       Reason::kServiceAccount, "not one of"},
      {"no pod", Answer(Extra("pod-name", nullptr)), Reason::kPodUnbound, "projected"},
      {"no uid", Answer(Extra("pod-uid", nullptr)), Reason::kPodUnbound, "projected"},
      {"two pods", Answer(Extra("pod-name", {"a", "b"})), Reason::kPodUnbound, "projected"},
      {"an empty uid", Answer(Extra("pod-uid", {""})), Reason::kPodUnbound, "projected"},
      {"a number", Answer(Extra("pod-uid", {1})), Reason::kPodUnbound, "projected"},
  };
  for (const auto& test : cases) {
    const auto read = ReadTokenReview(test.answer, kAccounts);
    ASSERT_FALSE(read.has_value()) << test.name;
    EXPECT_EQ(read.error().reason, test.reason) << test.name << ": " << read.error().sentence;
    EXPECT_THAT(read.error().sentence, HasSubstr(test.sentence)) << test.name;
  }
}

api::Pod AgentPod() {
  api::Pod pod;
  pod.meta.name = "heddle-agent-1";
  pod.meta.name_space = "heddle-system";
  pod.meta.uid = "uid-1";
  pod.service_account = "heddle-agent";
  pod.node_name = "n1";
  return pod;
}

TEST(TokenReview, TheCallerIsTheNodeOfTheTokensPod) {
  const auto with = [](auto change) {
    api::Pod pod = AgentPod();
    change(pod);
    return pod;
  };
  const struct {
    const char* name;
    api::Pod pod;
    const char* node_of_token;
    std::optional<Reason> refused;
  } cases[] = {
      {"its pod", AgentPod(), "n1", std::nullopt},
      {"a server before 1.30", AgentPod(), "", std::nullopt},
      {"another of that name", with([](api::Pod& pod) { pod.meta.uid = "uid-2"; }), "n1",
       Reason::kPodGone},
      {"of another name", with([](api::Pod& pod) { pod.meta.name = "x"; }), "n1", Reason::kPodGone},
      {"ended", with([](api::Pod& pod) { pod.terminal = true; }), "n1", Reason::kPodGone},
      {"not bound", with([](api::Pod& pod) { pod.node_name = {}; }), "", Reason::kPodGone},
      {"about to go", with([](api::Pod& pod) { pod.meta.deleting = true; }), "n1", std::nullopt},
      {"as another account", with([](api::Pod& pod) { pod.service_account = "x"; }), "n1",
       Reason::kServiceAccount},
      {"on another node", AgentPod(), "n2", Reason::kNode},
  };
  for (const auto& test : cases) {
    api::ObjectStore objects;
    objects.Put(std::make_shared<const api::Pod>(test.pod));
    const ReviewedToken token{.account = {"heddle-system", "heddle-agent"},
                              .pod = {"heddle-system", "heddle-agent-1"},
                              .pod_uid = "uid-1",
                              .node = test.node_of_token};
    const auto caller = CallerOf(token, objects);
    EXPECT_EQ(caller.has_value(), !test.refused.has_value()) << test.name;
    if (caller.has_value()) {
      EXPECT_EQ(caller->node, "n1") << test.name;
      EXPECT_FALSE(WhyGone(*caller, objects).has_value()) << test.name;
    } else if (test.refused.has_value()) {
      EXPECT_EQ(caller.error().reason, *test.refused) << test.name;
    }
  }
}

TEST(TokenReview, EachReasonHasItsCode) {
  const struct {
    Reason reason;
    const char* name;
    absl::StatusCode code;
  } cases[] = {
      {Reason::kTokenMissing, "token_missing", absl::StatusCode::kUnauthenticated},
      {Reason::kTokenInvalid, "token_invalid", absl::StatusCode::kUnauthenticated},
      {Reason::kAudience, "audience", absl::StatusCode::kUnauthenticated},
      {Reason::kServiceAccount, "service_account", absl::StatusCode::kPermissionDenied},
      {Reason::kPodUnbound, "pod_unbound", absl::StatusCode::kUnauthenticated},
      {Reason::kPodGone, "pod_gone", absl::StatusCode::kUnauthenticated},
      {Reason::kNode, "node", absl::StatusCode::kPermissionDenied},
      {Reason::kUnavailable, "unavailable", absl::StatusCode::kUnavailable},
  };
  EXPECT_EQ(std::size(cases), kReasons);
  for (const auto& test : cases) {
    EXPECT_STREQ(ToString(test.reason), test.name);
    EXPECT_EQ(StatusOf({test.reason, "why"}).code(), test.code) << test.name;
  }
}

std::string Token(const std::string& claims) {
  std::string middle;
  absl::WebSafeBase64Escape(claims, &middle);
  return absl::StrCat("e30.", middle, ".c2ln");
}

TEST(TokenClaims, AreReadWithoutBelievingThem) {
  const auto claims = ReadClaims(Token(R"({"aud":["a","heddle-controller"],"exp":1700000000})"));
  ASSERT_TRUE(claims.has_value());
  EXPECT_THAT(claims->audiences, ElementsAre("a", "heddle-controller"));
  EXPECT_EQ(claims->expires, absl::FromUnixSeconds(1700000000));
  const auto one = ReadClaims(Token(R"({"aud":"x"})"));
  ASSERT_TRUE(one.has_value());
  EXPECT_THAT(one->audiences, ElementsAre("x"));
  EXPECT_EQ(one->expires, absl::InfiniteFuture());
  const auto odd = ReadClaims(Token(R"({"aud":[1,{}],"exp":1e300})"));
  ASSERT_TRUE(odd.has_value());
  EXPECT_THAT(odd->audiences, IsEmpty());
  for (const std::string& text :
       {std::string(), std::string("token"), std::string("a.b.c"), std::string("e30.e30."),
        Token("[]"), Token("{"), Token("{}") + ".e30", std::string("e30.*.c2ln"),
        Token(absl::StrCat("{\"aud\":\"", std::string(kMaxTokenBytes, 'x'), "\"}"))}) {
    EXPECT_FALSE(ReadClaims(text).has_value()) << text.substr(0, 40);
  }
}

}  // namespace
}  // namespace heddle::controlplane::callers
