#include "controlplane/api/node_taint.h"

#include <gtest/gtest.h>

namespace heddle::controlplane::api {
namespace {

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
}  // namespace heddle::controlplane::api
