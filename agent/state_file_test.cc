#include "agent/state_file.h"

#include <absl/strings/str_cat.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "agent/model/testing/world.h"
#include "lib/base/file.h"
#include "lib/io/testing/simulation.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;

using Outcome = io::Simulation::Outcome;

fs::path MakeFolder() {
  std::string name = fs::temp_directory_path() / "heddle-state-XXXXXX";
  return ::mkdtemp(name.data());
}

// The file in a folder of its own, a session that changes, and the task that saves. The disk's loop is one of the
// simulation, so its seed decides what comes between a change and its save.
class StateFileTest : public ::testing::TestWithParam<uint64_t> {
 protected:
  ~StateFileTest() override {
    End();
    fs::remove_all(folder_);
  }

  // A change, as by a response of the controller.
  void Change(std::string_view version) {
    DeltaSession::Response response;
    response.set_type_url(std::string(TypeUrl(ResourceKind::kAddress)));
    const testing::WorkloadOptions pod;
    auto& resource = *response.add_resources();
    resource.set_name(pod.uid());
    resource.set_version(std::string(version));
    resource.mutable_resource()->set_type_url(response.type_url());
    resource.mutable_resource()->set_value(testing::MakeWorkload(pod).SerializeAsString());
    session_.Handle(std::move(response));
    file_.Notify();
  }
  // The version of the workload on disk; empty when there is no file.
  std::string Saved() const {
    const auto file = StateFile::Map(folder_ / "state");
    if (!file.ok()) return "";
    const HeldResources held = HoldAll(ViewState(file->bytes()).value());
    const auto* resource = held[static_cast<size_t>(ResourceKind::kAddress)].resources.Find(
        testing::WorkloadOptions().uid());
    return resource == nullptr ? "" : (*resource)->version;
  }
  void Start() { scope_.Spawn(file_.Run(session_, scope_.stop())); }
  void End() {
    scope_.RequestStop();
    EXPECT_TRUE(Reached([this] { return scope_.live() == 0; }));
  }
  bool Reached(absl::FunctionRef<bool()> what) {
    return simulation_.RunUntil(what) == Outcome::kDone;
  }
  // After so many attempts that failed.
  absl::Duration TimeUntilFailure(int count) {
    const MonotonicTime begin = simulation_.clock().Monotonic();
    const std::string line = absl::StrCat("heddle_state_save_failures_total ", count, "\n");
    EXPECT_TRUE(Reached([&] { return registry_.Expose().find(line) != std::string::npos; }));
    return simulation_.clock().Monotonic() - begin;
  }

  const fs::path folder_ = MakeFolder();
  io::Simulation simulation_{GetParam()};
  io::Loop& loop_ = simulation_.AddLoop();
  io::Loop& disk_ = simulation_.AddLoop();
  metrics::Registry registry_;
  StateBuilder builder_;
  DeltaSession session_{builder_, {.id = "node"}, {ResourceKind::kAddress}};
  StateFile file_{loop_, disk_, folder_ / "state", registry_};
  Scope scope_{loop_};
};

TEST_P(StateFileTest, SavesAChangeWithinMilliseconds) {
  Start();
  const MonotonicTime begin = simulation_.clock().Monotonic();
  Change("v1");
  EXPECT_TRUE(Reached([&] { return Saved() == "v1"; }));
  EXPECT_LT(simulation_.clock().Monotonic() - begin, absl::Milliseconds(100));
}

TEST_P(StateFileTest, WritesAStateThatChangesAllTheTimeTwiceASecond) {
  Start();
  Change("v1");
  EXPECT_TRUE(Reached([&] { return Saved() == "v1"; }));
  const MonotonicTime begin = simulation_.clock().Monotonic();
  Change("v2");
  Change("v3");
  EXPECT_TRUE(Reached([&] { return !Saved().empty() && Saved() != "v1"; }));
  EXPECT_EQ(Saved(), "v3");
  EXPECT_GE(simulation_.clock().Monotonic() - begin, absl::Milliseconds(500));
}

TEST_P(StateFileTest, TriesAgainWithBackOffWhatCouldNotBeSaved) {
  fs::remove(folder_);
  Start();
  Change("v1");
  EXPECT_LT(TimeUntilFailure(1), absl::Milliseconds(100));
  EXPECT_GE(TimeUntilFailure(2), absl::Seconds(1));
  EXPECT_GE(TimeUntilFailure(3), absl::Seconds(2));
  TimeUntilFailure(20);
  EXPECT_LE(TimeUntilFailure(21), absl::Seconds(61));
  fs::create_directory(folder_);
  EXPECT_TRUE(Reached([&] { return Saved() == "v1"; }));
}

TEST_P(StateFileTest, SavesAtTheStopWhatIsUnsaved) {
  Start();
  Change("v1");
  End();
  EXPECT_EQ(Saved(), "v1");
}

TEST_P(StateFileTest, SavesWhatChangesAfterTheStop) {
  Start();
  Change("v1");
  scope_.RequestStop();
  loop_.Turn(simulation_.clock().Monotonic());  // The last save of Run() is under way.
  Change("v2");
  End();
  simulation_.Run(loop_, file_.Flush(session_));
  EXPECT_EQ(Saved(), "v2");
}

TEST_P(StateFileTest, GivesUpAtTheStopWhenTheDiskIsFull) {
  fs::remove(folder_);
  Start();
  Change("v1");
  End();
  simulation_.Run(loop_, file_.Flush(session_));
  EXPECT_EQ(Saved(), "");
}

TEST_P(StateFileTest, SaysWhyThereIsNothingToRead) {
  const fs::path path = folder_ / "state";
  EXPECT_TRUE(absl::IsNotFound(StateFile::Map(path).status()));
  ASSERT_TRUE(ReplaceFile(path, "", Durability::kProcessCrash).ok());
  fs::resize_file(path, kMaxStateFileBytes + 1);
  EXPECT_TRUE(absl::IsDataLoss(StateFile::Map(path).status()));
}

INSTANTIATE_TEST_SUITE_P(Seeds, StateFileTest, ::testing::Range<uint64_t>(1, 6));

}  // namespace
}  // namespace heddle::agent
