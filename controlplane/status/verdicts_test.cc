#include "controlplane/status/verdicts.h"

#include <gtest/gtest.h>

namespace heddle::controlplane::status {
namespace {

void AddPod(Knowledge& knowledge, const std::string& name_space, const std::string& name,
            api::Labels::Map labels, bool address = true) {
  labels.emplace("istio.io/dataplane-mode", "ambient");
  api::Pod pod;
  pod.meta = {
      .name = name, .name_space = name_space, .uid = "uid-" + name, .labels = std::move(labels)};
  pod.node_name = "n1";
  if (address) pod.ips.push_back(*io::IpAddress::Parse("10.0.0.1"));
  knowledge.objects.Put(std::make_shared<const api::Pod>(std::move(pod)));
}

api::ObjectKey AddPolicy(Knowledge& knowledge, const std::string& name_space,
                         const std::string& name, api::Labels selector) {
  api::AuthorizationPolicy policy;
  policy.meta = {.name = name, .name_space = name_space};
  policy.selector = std::move(selector);
  knowledge.objects.Put(std::make_shared<const api::AuthorizationPolicy>(std::move(policy)));
  return {api::Kind::kAuthorizationPolicy, {name_space, name}};
}

TEST(Verdicts, CountTheWorkloadsThatAPolicyIsFor) {
  Knowledge knowledge;
  AddPod(knowledge, "shop", "a", {{"app", "web"}, {"tier", "front"}});
  AddPod(knowledge, "shop", "b", {{"app", "web"}});
  AddPod(knowledge, "bank", "c", {{"app", "web"}});
  AddPod(knowledge, "bank", "out", {{"app", "web"}, {"x", "y"}});
  api::Pod none = *knowledge.objects.Find<api::Pod>({"bank", "out"});
  none.meta.labels = {{"app", "web"}, {"x", "y"}, {"istio.io/dataplane-mode", "none"}};
  knowledge.objects.Put(std::make_shared<const api::Pod>(none));
  struct Case {
    const char* name_space;
    api::Labels selector;
    size_t workloads;
  };
  for (const Case& each : std::vector<Case>{{"shop", {}, 2},
                                            {"istio-system", {}, 3},
                                            {"shop", {{"app", "web"}}, 2},
                                            {"shop", {{"app", "web"}, {"tier", "front"}}, 1},
                                            {"shop", {{"app", "none"}}, 0},
                                            {"empty", {}, 0},
                                            {"istio-system", {{"app", "web"}}, 3}}) {
    const api::ObjectKey key = AddPolicy(knowledge, each.name_space, "p", each.selector);
    const PolicyVerdict verdict = Judge(knowledge, {}).policies.at(key);
    EXPECT_EQ(verdict.workloads, each.workloads) << each.name_space;
    EXPECT_TRUE(verdict.accepted && verdict.binds);
    EXPECT_EQ(verdict.reason, "Accepted");
  }
}

TEST(Verdicts, SayWhyAPolicyIsRefusedAndWhatIsInEffectInstead) {
  Knowledge knowledge;
  const api::ObjectKey key = AddPolicy(knowledge, "shop", "p", {});
  const api::ObjectKey never = {api::Kind::kPeerAuthentication, {"shop", "never"}};
  knowledge.problems = {
      {.object = key, .reason = "bad port", .effect = api::Problem::Effect::kLastGoodKept},
      {.object = never, .reason = "no mode"},
      {.kind = "12 kinds", .reason = "connecting"},
      {.object = api::ObjectKey{api::Kind::kService, {"shop", "s"}}, .reason = "x"}};
  const Verdicts verdicts = Judge(knowledge, {});
  EXPECT_EQ(verdicts.policies.size(), 2U);
  EXPECT_FALSE(verdicts.policies.at(key).accepted);
  EXPECT_TRUE(verdicts.policies.at(key).binds);
  EXPECT_EQ(verdicts.policies.at(key).reason, "Invalid");
  EXPECT_EQ(verdicts.policies.at(key).message, "bad port; the last good version stays in effect");
  EXPECT_FALSE(verdicts.policies.at(never).binds);
}

TEST(Verdicts, SayWhatTheTranslationSays) {
  Knowledge knowledge;
  const api::ObjectKey audit = AddPolicy(knowledge, "shop", "audit", {});
  const api::ObjectKey http = AddPolicy(knowledge, "shop", "http", {});
  knowledge.statuses = {
      {.object = audit, .effective = false, .note = "AUDIT has no effect"},
      {.object = http, .note = std::string(5000, 'x')},
      {.object = {api::Kind::kPod, {"shop", "a"}}, .effective = false, .note = "no uid"}};
  const Verdicts verdicts = Judge(knowledge, {});
  EXPECT_EQ(verdicts.policies.at(audit).reason, "NoEffect");
  EXPECT_FALSE(verdicts.policies.at(audit).binds);
  EXPECT_EQ(verdicts.policies.at(audit).message, "AUDIT has no effect");
  EXPECT_TRUE(verdicts.policies.at(http).accepted);
  EXPECT_EQ(verdicts.policies.at(http).message.size(), 1024U);
}

TEST(Verdicts, ListPodsOfTheMeshThatHaveAnAddress) {
  Knowledge knowledge;
  AddPod(knowledge, "shop", "a", {});
  AddPod(knowledge, "shop", "b", {});
  AddPod(knowledge, "shop", "starting", {}, false);
  knowledge.captured["n1"] = {"uid-a"};
  knowledge.captured["n2"] = {"uid-b"};
  const Verdicts verdicts = Judge(knowledge, {});
  ASSERT_EQ(verdicts.pods.size(), 2U);
  EXPECT_TRUE(verdicts.pods[0].captured);
  EXPECT_FALSE(verdicts.pods[1].captured) << "another node's word counts for nothing";
}

}  // namespace
}  // namespace heddle::controlplane::status
