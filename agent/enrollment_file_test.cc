#include "agent/enrollment_file.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/model/state_builder.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/base/testing/temporary_directory.h"

namespace heddle::agent {
namespace {

using cni::NamespaceEnrollment;
namespace wire = heddle::node::v1;

struct TestPod {
  const char* name;
  const char* name_space;
  bool enrolled = false;
  bool host_network = false;
};

// The namespace "in" is enrolled, "old" is of a controller that does not say, all others are not.
wire::NamespaceEnrollment ModeOf(std::string_view name_space) {
  if (name_space == "old") return wire::NAMESPACE_UNKNOWN;
  return name_space == "in" ? wire::NAMESPACE_ENROLLED : wire::NAMESPACE_NONE;
}

StateRef StateOf(const std::vector<TestPod>& pods) {
  StateBuilder builder;
  for (const TestPod& pod : pods) {
    wire::NodePod message;
    message.set_uid(pod.name);
    message.set_name(pod.name);
    message.set_namespace_(pod.name_space);
    message.set_service_account("default");
    message.set_trust_domain("cluster.local");
    message.set_enrolled(pod.enrolled);
    message.set_host_network(pod.host_network);
    message.set_namespace_enrollment(ModeOf(pod.name_space));
    EXPECT_TRUE(builder.PutNodePod(pod.name, message).ok());
  }
  return builder.Publish();
}

TEST(Enrollment, IsWhatTheNamespaceSaysUnlessAPodDiffers) {
  const struct {
    const char* name;
    std::vector<TestPod> pods;
    std::map<std::string, NamespaceEnrollment> want;
  } rows[] = {
      {"nothing here", {}, {}},
      {"enrolled", {{"a", "in", true}}, {{"in", NamespaceEnrollment::kEnrolled}}},
      {"none", {{"a", "out"}}, {{"out", NamespaceEnrollment::kNone}}},
      {"one opts in", {{"a", "out"}, {"b", "out", true}}, {{"out", NamespaceEnrollment::kMixed}}},
      {"all opt in", {{"b", "out", true}}, {{"out", NamespaceEnrollment::kMixed}}},
      {"all opt out", {{"a", "in"}}, {{"in", NamespaceEnrollment::kMixed}}},
      {"host's network only", {{"a", "in", false, true}}, {{"in", NamespaceEnrollment::kEnrolled}}},
      {"unsaid", {{"a", "old"}, {"b", "old"}}, {{"old", NamespaceEnrollment::kMixed}}},
  };
  for (const auto& row : rows) {
    MixedNamespaces mixed;
    const auto got = CollectEnrollment(*StateOf(row.pods), mixed, absl::FromUnixSeconds(1000));
    EXPECT_EQ(got.namespaces, row.want) << row.name;
  }
}

class EnrollmentFileTest : public testing::Test {
 protected:
  EnrollmentFile Open() const {
    return EnrollmentFile(clock_, {.path = directory_ / "enroll.json",
                                   .mixed_path = directory_ / "mixed",
                                   .exempt_namespaces = {"kube-system"}});
  }
  // What the plugin does while the agent is away.
  bool MayStart(std::string_view name_space) const {
    const auto enrollment = cni::DecodeEnrollment(directory_.Read("enroll.json"));
    return enrollment && cni::MayStartWithoutAgent(&*enrollment, name_space);
  }

  const TemporaryDirectory directory_;
  FakeClock clock_;
  const StateRef mixed_ = StateOf({{"a", "lab"}, {"b", "lab", true}, {"c", "out"}});
  const StateRef plain_ = StateOf({{"a", "lab"}, {"c", "out"}});
};

TEST_F(EnrollmentFileTest, RemembersForADayThatANamespaceWasMixed) {
  EnrollmentFile file = Open();
  ASSERT_TRUE(file.Update(*mixed_).ok());
  EXPECT_TRUE(MayStart("out") && MayStart("kube-system"));
  EXPECT_FALSE(MayStart("lab") || MayStart("unheard-of"));
  clock_.Advance(absl::Hours(23));
  ASSERT_TRUE(file.Update(*plain_).ok());
  EXPECT_FALSE(MayStart("lab"));
  clock_.Advance(absl::Hours(2));
  ASSERT_TRUE(file.Update(*plain_).ok());
  EXPECT_TRUE(MayStart("lab"));
}

TEST_F(EnrollmentFileTest, RemembersItAcrossARestartAndABoot) {
  {
    EnrollmentFile file = Open();
    ASSERT_TRUE(file.Update(*mixed_).ok());
  }
  std::filesystem::remove(directory_ / "enroll.json");
  clock_.Advance(absl::Hours(23));
  EnrollmentFile file = Open();
  ASSERT_TRUE(file.Update(*plain_).ok());
  EXPECT_FALSE(MayStart("lab"));
  EXPECT_TRUE(MayStart("out"));
}

TEST_F(EnrollmentFileTest, LetsNobodyStartAloneForADayWhenItsMemoryIsDamaged) {
  for (const char* text : {"", "{}", R"({"version":1,"namespaces":{"lab":"tomorrow"}})",
                           R"({"version":2,"namespaces":{}})"}) {
    directory_.Write("mixed", text);
    EnrollmentFile file = Open();
    ASSERT_TRUE(file.Update(*plain_).ok());
    EXPECT_FALSE(MayStart("lab") || MayStart("out")) << text;
    EXPECT_TRUE(MayStart("kube-system"));
    clock_.Advance(absl::Hours(25));
    ASSERT_TRUE(file.Update(*plain_).ok());
    EXPECT_TRUE(MayStart("lab") && MayStart("out")) << text;
  }
}

TEST_F(EnrollmentFileTest, ForgetsWhenAClockThatWasAheadGoesBack) {
  EnrollmentFile file = Open();
  const absl::Time now = clock_.Wall();
  clock_.SetWall(now + absl::Hours(10'000));
  ASSERT_TRUE(file.Update(*mixed_).ok());
  clock_.SetWall(now);
  ASSERT_TRUE(file.Update(*plain_).ok());
  EXPECT_FALSE(MayStart("lab"));
  clock_.Advance(absl::Hours(25));
  ASSERT_TRUE(file.Update(*plain_).ok());
  EXPECT_TRUE(MayStart("lab"));
}

TEST(MixedNamespaces, AreBoundedAndBeyondThatAllCount) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  MixedNamespaces mixed;
  for (size_t i = 0; i < MixedNamespaces::kMaxNamespaces; ++i)
    mixed.Note(absl::StrCat("n", i), now);
  EXPECT_FALSE(mixed.Contains("other"));
  mixed.Note("one-more", now);
  EXPECT_TRUE(mixed.Contains("one-more") && mixed.Contains("other"));
  const auto again = MixedNamespaces::Decode(mixed.Encode());
  ASSERT_TRUE(again.ok());
  EXPECT_TRUE(again->Contains("other"));
  mixed.Expire(now + absl::Hours(25));
  EXPECT_FALSE(mixed.Contains("other") || mixed.Contains("n0"));
}

TEST(MixedNamespaces, ChangeTheirTextOnceAnHour) {
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  MixedNamespaces mixed;
  mixed.Note("lab", now + absl::Minutes(1));
  const std::string text = mixed.Encode();
  mixed.Note("lab", now + absl::Minutes(59));
  EXPECT_EQ(mixed.Encode(), text);
  mixed.Note("lab", now + absl::Minutes(61));
  EXPECT_NE(mixed.Encode(), text);
}

}  // namespace
}  // namespace heddle::agent
