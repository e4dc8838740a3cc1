#include "controlplane/startup_taint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;

api::Pod Agent(const char* name, const char* node) {
  return {.meta = {.name = name, .name_space = "heddle-system", .uid = std::string("uid-") + name},
          .service_account = kAgentAccount,
          .node_name = node};
}

TEST(ReadyAgents, AreThoseOfOurNamespaceThatServe) {
  api::Pod unready = Agent("unready", "n2");
  unready.ready = false;
  api::Pod leaving = Agent("leaving", "n3");
  leaving.meta.deleting = true;
  api::Pod ended = Agent("ended", "n4");
  ended.terminal = true;
  api::Pod other = Agent("other", "n5");
  other.service_account = "heddle-controller";
  api::Pod foreign = Agent("foreign", "n6");
  foreign.meta.name_space = "elsewhere";
  api::ObjectStore objects;
  for (api::Pod& pod : std::vector{Agent("good", "n1"), unready, leaving, ended, other, foreign,
                                   Agent("unbound", "")}) {
    objects.Put(std::make_shared<const api::Pod>(pod));
  }
  EXPECT_THAT(ReadyAgents(objects, "heddle-system"), ElementsAre(ReadyAgent{"uid-good", "n1", ""}));
  objects.Put(
      std::make_shared<const api::Node>(api::Node{.meta = {.name = "n1", .uid = "second"}}));
  EXPECT_THAT(ReadyAgents(objects, "heddle-system"),
              ElementsAre(ReadyAgent{"uid-good", "n1", "second"}));
}

TEST(PatchWithoutTaint, TakesOursAndLeavesTheOthers) {
  EXPECT_EQ(
      PatchWithoutTaint(R"({"metadata": {"resourceVersion": "7"}, "spec": {"taints": [
          {"key": "a", "effect": "NoExecute"}, {"key": "heddle.io/not-ready", "effect": "NoSchedule"}]}})"),
      R"([{"op":"test","path":"/metadata/resourceVersion","value":"7"},)"
      R"({"op":"replace","path":"/spec/taints","value":[{"effect":"NoExecute","key":"a"}]}])");
}

TEST(PatchWithoutTaint, IsNothingWhereThereIsNothingToTake) {
  for (const char* node :
       {"", "[]", "{}", R"({"metadata": {"resourceVersion": "7"}, "spec": {}})",
        R"({"metadata": {"resourceVersion": "7"}, "spec": {"taints": null}})",
        R"({"metadata": {"resourceVersion": "7"}, "spec": {"taints": [{"key": "a"}, 3, {}]}})",
        R"({"spec": {"taints": [{"key": "heddle.io/not-ready"}]}})"}) {
    EXPECT_EQ(PatchWithoutTaint(node), std::nullopt) << node;
  }
}

}  // namespace
}  // namespace heddle::controlplane
