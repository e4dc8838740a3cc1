#include "agent/state_restore.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/model/testing/world.h"
#include "agent/xds/state_store.h"
#include "lib/base/file.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

constexpr int kPods = 3001;  // So many that two threads take turns with slices, of which the last is short.

class StateRestoreTest : public ::testing::Test {
 protected:
  StateRestoreTest() {
    std::string name = fs::temp_directory_path() / "heddle-restore-XXXXXX";
    folder_ = ::mkdtemp(name.data());
  }
  ~StateRestoreTest() override { fs::remove_all(folder_); }

  std::string path() const { return folder_ / "state"; }
  std::unique_ptr<StateRestore> Start() const {
    return std::make_unique<StateRestore>(path(), NodeDescription{},
                                          std::vector{ResourceKind::kAddress});
  }
  void Write(const std::string& bytes) {
    ASSERT_TRUE(ReplaceFile(path(), bytes, Durability::kProcessCrash).ok());
  }

 private:
  fs::path folder_;
};

DeltaSession::Response Pods(int first, int last) {
  DeltaSession::Response response;
  response.set_type_url(std::string(TypeUrl(ResourceKind::kAddress)));
  for (int i = first; i < last; ++i) {
    const testing::WorkloadOptions pod{.name = absl::StrCat("web-", i),
                                       .ips = {absl::StrCat("10.0.", i / 250, ".", i % 250)},
                                       .services = {{"default/web", {{80, 8080}}}}};
    auto& resource = *response.add_resources();
    resource.set_name(pod.uid());
    resource.set_version("1");
    resource.mutable_resource()->set_type_url(response.type_url());
    resource.mutable_resource()->set_value(testing::MakeWorkload(pod).SerializeAsString());
  }
  return response;
}

std::string SavedState() {
  StateBuilder builder;
  DeltaSession session(builder, {}, {ResourceKind::kAddress});
  session.Handle(Pods(0, kPods));
  return *EncodeState(session.held());
}

TEST_F(StateRestoreTest, LeavesASessionThatGoesOnFromTheRestoredState) {
  Write(SavedState());
  const auto restore = Start();
  const auto state = restore->WaitState();
  ASSERT_TRUE(state.ok()) << state.status();
  // The state serves while the session is still being made.
  EXPECT_NE((*state)->FindWorkload(WorkloadUid(testing::WorkloadOptions{.name = "web-7"}.uid())), nullptr);
  restore->WaitSession();
  EXPECT_EQ(restore->session().Open().at(0).initial_resource_versions().size(), static_cast<size_t>(kPods));
  EXPECT_EQ((*state)->workloads().size(), static_cast<size_t>(kPods));
  EXPECT_EQ((*state)->FindEndpoints(ServiceName("default/web")).size(), static_cast<size_t>(kPods));
  const StateRef next = restore->session().Handle(Pods(kPods, kPods + 1)).state;
  ASSERT_NE(next, nullptr);
  EXPECT_EQ(next->workloads().size(), static_cast<size_t>(kPods) + 1);
  EXPECT_EQ((*state)->workloads().size(), static_cast<size_t>(kPods));
}

TEST_F(StateRestoreTest, SaysWhyThereIsNoStateAndLeavesAnEmptySession) {
  const auto missing = Start();
  EXPECT_TRUE(absl::IsNotFound(missing->WaitState().status()));
  Write("HDSTATE but not of ours");
  const auto damaged = Start();
  EXPECT_TRUE(absl::IsDataLoss(damaged->WaitState().status()));
  damaged->WaitSession();
  const StateRef first = damaged->session().Handle(Pods(0, 1)).state;
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->workloads().size(), 1u);
}

TEST_F(StateRestoreTest, AStartThatIsGivenUpWaitsForIt) {
  Write(SavedState());
  Start();  // Destroyed while its thread reads,
  EXPECT_TRUE(Start()->WaitState().ok());  // or makes the session.
}

}  // namespace
}  // namespace heddle::agent
