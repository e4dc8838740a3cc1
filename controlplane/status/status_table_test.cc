#include "controlplane/status/status_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane::status {
namespace {

const api::ObjectKey kPolicy{api::Kind::kAuthorizationPolicy, {"shop", "p"}};

TEST(StatusTable, ShowsTheProblemOfAnObjectInsteadOfItsStandIn) {
  const std::vector<StatusRow> rows = StatusRows({{.file = "a.yaml",
                                                   .line = 3,
                                                   .object = kPolicy,
                                                   .reason = "bad port",
                                                   .effect = api::Problem::Effect::kDenyAll}},
                                                 {{.object = kPolicy, .note = "was refused"}});
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_EQ(rows[0], (StatusRow{.kind = "AuthorizationPolicy",
                                .name = "shop/p",
                                .state = "refused",
                                .note = "bad port; everything it selects is denied",
                                .place = "a.yaml:3"}));
}

TEST(StatusTable, AlignsText) {
  const std::vector<StatusRow> rows =
      StatusRows({{.file = "a.yaml", .line = 7, .reason = "end of map not found"}},
                 {{.object = kPolicy},
                  {.object = kPolicy, .effective = false, .note = "AUDIT has no effect"}});
  EXPECT_EQ(
      ToText(rows),
      "KIND                 NAME    STATE      PLACE     NOTE\n"
      "                             refused    a.yaml:7  end of map not found; it has no effect\n"
      "AuthorizationPolicy  shop/p  in effect\n"
      "AuthorizationPolicy  shop/p  no effect            AUDIT has no effect\n");
}

TEST(StatusTable, WritesJsonWhateverBytesAReasonHas) {
  EXPECT_THAT(ToJson({{.kind = "Pod", .note = "\xff\"x\""}}),
              testing::HasSubstr(R"("note": "�\"x\"")"));
  EXPECT_EQ(ToJson({}), "[]");
}

}  // namespace
}  // namespace heddle::controlplane::status
