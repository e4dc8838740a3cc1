#include "controlplane/removal_progress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace heddle::controlplane {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using translate::RemovalPhase;

const NodeRemovalReport kStays{};
const NodeRemovalReport kGone{.gone = true, .note = ""};
using Data = std::map<std::string, std::string>;

class RemovalProgressTest : public testing::Test {
 protected:
  void Request(std::map<std::string, std::string> data = {}) {
    const api::Removal request{.meta = {}, .data = std::move(data)};
    progress_.SetRequest(&request);
    progress_.SetNodes({"a", "b"});
  }
  // As the mesh does after each translation.
  void Publish() { progress_.Published(progress_.phase()); }
  void BothInSync() {
    progress_.InSync("a");
    progress_.InSync("b");
  }
  std::string Entry(const std::string& node) { return progress_.Record()["node." + node]; }

  RemovalProgress progress_;
};

TEST_F(RemovalProgressTest, NothingIsRequestedWithoutTheConfigMap) {
  progress_.SetNodes({"a"});
  Publish();
  progress_.InSync("a");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kNone);
  EXPECT_THAT(progress_.Record(), IsEmpty());
}

TEST_F(RemovalProgressTest, EachPhaseWaitsForItsPublicationAndForEveryNode) {
  Request();
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
  BothInSync();  // With a state from before.
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
  Publish();
  progress_.InSync("a");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
  progress_.InSync("b");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kPlain);
  BothInSync();  // Still with the state of kRelax.
  EXPECT_EQ(progress_.phase(), RemovalPhase::kPlain);
  Publish();
  BothInSync();
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelease);
  EXPECT_FALSE(progress_.release());  // Nobody has been told yet that its pods are not enrolled.
  Publish();
  EXPECT_TRUE(progress_.release());
  progress_.Reported("a", kGone);
  EXPECT_FALSE(progress_.done());
  progress_.Reported("b", {.gone = false, .note = "1 pod is still captured"});
  EXPECT_THAT(progress_.Record(),
              ElementsAre(Pair("node.a", "gone"), Pair("node.b", "plain: 1 pod is still captured"),
                          Pair("phase", "release")));
  progress_.Reported("b", kGone);
  EXPECT_TRUE(progress_.done());
  EXPECT_EQ(progress_.Record()["phase"], "gone");
}

TEST_F(RemovalProgressTest, ANodeWithoutItsAgentIsWaitedForAndNamed) {
  Request();
  Publish();
  progress_.Reported("a", kStays);
  progress_.InSync("a");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
  EXPECT_EQ(Entry("a"), "relaxed");
  EXPECT_EQ(Entry("b"), "waiting: its agent is not connected");
  progress_.SetNodes({"a"});  // Its Node is deleted.
  EXPECT_EQ(progress_.phase(), RemovalPhase::kPlain);
}

TEST_F(RemovalProgressTest, WhatAnotherControllerHasSeenCountsFromTheConfigMap) {
  Request({{"node.b", "relaxed"}});
  Publish();
  progress_.InSync("a");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kPlain);
  EXPECT_EQ(Entry("b"), "relaxed");  // Not ours to say more.
  Request({{"phase", "release"}, {"node.a", "plain"}, {"node.b", "gone"}});
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelease);
  Publish();
  progress_.Reported("a", kGone);
  EXPECT_TRUE(progress_.done());
}

TEST_F(RemovalProgressTest, AnAgentThatIsBackAndStillHoldsPodsCountsMoreThanWhatIsRecorded) {
  Request({{"phase", "gone"}, {"node.a", "gone"}, {"node.b", "gone"}});
  Publish();
  EXPECT_TRUE(progress_.done());
  progress_.Reported("a", kStays);
  EXPECT_FALSE(progress_.done());
  progress_.Silent("a");
  EXPECT_TRUE(progress_.done());
}

TEST_F(RemovalProgressTest, PhasesNeverGoBackForANodeThatComesLate) {
  Request({{"phase", "release"}});
  Publish();
  progress_.SetNodes({"a", "b", "late"});
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelease);
  EXPECT_EQ(Entry("late"), "waiting: its agent is not connected");
  Request({{"phase", "relax"}});  // An older version of it, late.
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelease);
}

TEST_F(RemovalProgressTest, CancelledEverythingStartsAnew) {
  Request();
  Publish();
  BothInSync();
  const uint64_t before = progress_.generation();
  progress_.SetRequest(nullptr);
  EXPECT_EQ(progress_.phase(), RemovalPhase::kNone);
  EXPECT_NE(progress_.generation(), before);
  Request();
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
  Publish();
  progress_.InSync("a");
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
}

TEST_F(RemovalProgressTest, APhaseBeginsOnceItIsWrittenDown) {
  progress_.AwaitRecords();
  Request();
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);  // That it is asked for is written down.
  for (const RemovalPhase next : {RemovalPhase::kPlain, RemovalPhase::kRelease}) {
    Publish();
    BothInSync();
    EXPECT_LT(progress_.phase(), next);
    const Data record = progress_.Record();
    Publish();
    BothInSync();
    EXPECT_LT(progress_.phase(), next) << "the write is refused for as long as it likes";
    EXPECT_FALSE(progress_.release());
    Request(record);
    EXPECT_EQ(progress_.phase(), next);
  }
  Publish();
  EXPECT_TRUE(progress_.release());
}

TEST_F(RemovalProgressTest, AControllerThatStartsIsNotBehindWhatNodesWereTold) {
  progress_.AwaitRecords();
  Data written;
  while (!progress_.release()) {
    Request(written);
    Publish();
    BothInSync();
    RemovalProgress next;
    next.AwaitRecords();
    const api::Removal request{.meta = {}, .data = written};
    next.SetRequest(&request);
    EXPECT_EQ(next.phase(), progress_.phase());
    written = progress_.Record();
  }
}

TEST_F(RemovalProgressTest, AnotherConfigMapOfThatNameIsAnotherRemoval) {
  api::Removal request{.meta = {.uid = "1"}, .data = {{"phase", "release"}}};
  progress_.SetRequest(&request);
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelease);
  request = {.meta = {.uid = "2"}, .data = {}};  // Nobody was there when the first one went.
  progress_.SetRequest(&request);
  EXPECT_EQ(progress_.phase(), RemovalPhase::kRelax);
}

TEST_F(RemovalProgressTest, TheDrainIsTheConfigMapsWithinBounds) {
  const struct {
    const char* text;
    absl::Duration want;
  } cases[] = {{"5", absl::Seconds(5)},
               {"0", absl::ZeroDuration()},
               {"999999", kMaxRemovalDrain},
               {"soon", kDefaultRemovalDrain},
               {"-1", kDefaultRemovalDrain}};
  for (const auto& c : cases) {
    Request({{"drainSeconds", c.text}});
    EXPECT_EQ(progress_.drain(), c.want) << c.text;
  }
}

TEST_F(RemovalProgressTest, WhatAnAgentSaysIsCutShort) {
  Request({{"phase", "release"}});
  Publish();
  progress_.Reported("a", {.gone = false, .note = std::string(10'000, 'x')});
  EXPECT_LT(Entry("a").size(), 300u);
}

TEST_F(RemovalProgressTest, WhatAnAgentSaysIsOnePrintableLine) {
  Request({{"phase", "release"}});
  Publish();
  progress_.Reported("a", {.gone = false, .note = "\x1b[2J\n  node b: gone\xff"});
  EXPECT_EQ(Entry("a"), "waiting: ?[2J?  node b: gone?");
}

}  // namespace
}  // namespace heddle::controlplane
