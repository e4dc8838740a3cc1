#include "agent/node/cni_installer.h"

#include <absl/functional/function_ref.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "lib/base/scope.h"
#include "lib/base/testing/temporary_directory.h"
#include "lib/io/loop_pool.h"
#include "lib/io/testing/co_test.h"

namespace heddle::agent {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

constexpr char kList[] = R"({"cniVersion":"1.0.0","name":"a","plugins":[{"type":"bridge"}]})";
// Far less than what would pass without inotify.
constexpr absl::Duration kSoon = absl::Seconds(8);

// The installer on directories of its own, with the kernel's inotify.
class Node {
 public:
  explicit Node(io::Loop& loop, std::string left_mark = {})
      : left_mark_(std::move(left_mark)), loop_(loop) {
    from_.Write("heddle-cni", "program");
    scope_.Spawn(installer_.Run(scope_.stop()));
  }
  Task<void> End() {
    scope_.RequestStop();
    co_await scope_.Join();
  }
  Task<bool> Reached(absl::FunctionRef<bool()> what) {
    const MonotonicTime end = loop_.Now() + kSoon;
    while (!what() && loop_.Now() < end) co_await loop_.Sleep(absl::Milliseconds(1), {});
    co_return what();
  }
  bool HasEntry() const { return conf_.Read("10-a.conflist").contains(kCniPluginName); }
  bool Says(std::string_view line) const { return registry_.Expose().contains(line); }

  const std::string left_mark_;
  const TemporaryDirectory from_, conf_, bin_;
  io::Loop& loop_;
  metrics::Registry registry_;
  SystemClock clock_;
  io::LoopPool disk_{clock_, 1, "disk", {.backend = io::BackendChoice::kEpoll}};
  CniInstaller installer_{loop_,
                          disk_.loop(0),
                          {.paths = {.conf_dir = conf_.path(), .bin_dir = bin_.path()},
                           .plugin = from_ / "heddle-cni",
                           .entry = {.run_dir = "/run/heddle", .exempt_namespaces = {}},
                           .left_mark = left_mark_},
                          registry_};
  Scope scope_{loop_};
};

CO_TEST(CniInstaller, WaitsForAConfigurationAndPutsItsEntryIn) {
  Node node(loop);
  EXPECT_TRUE(
      co_await node.Reached([&] { return node.installer_.pending().contains("no valid"); }));
  EXPECT_EQ(node.bin_.Read("heddle-cni"), "program");
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  EXPECT_TRUE(node.HasEntry());
  EXPECT_TRUE(node.Says("heddle_cni_installed 1"));
  EXPECT_TRUE(node.Says("heddle_cni_repairs_total{what=\"configuration\"} 0"));
  co_await node.End();
}

CO_TEST(CniInstaller, PutsBackWhatAnotherProgramTakesAway) {
  Node node(loop);
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.HasEntry(); }));
  fs::remove(node.bin_ / "heddle-cni");
  EXPECT_TRUE(co_await node.Reached([&] { return fs::exists(node.bin_ / "heddle-cni"); }));
  EXPECT_TRUE(co_await node.Reached([&] {
    return node.Says("heddle_cni_repairs_total{what=\"configuration\"} 1") &&
           node.Says("heddle_cni_repairs_total{what=\"binary\"} 1");
  }));
  co_await node.End();
}

CO_TEST(CniInstaller, SlowsDownAndSaysSoWhenAnotherProgramInsists) {
  Node node(loop);
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  // One look may put back what was taken out twice.
  for (int i = 0; i < 20 && !node.Says("heddle_cni_contested 1"); ++i) {
    node.conf_.Replace("10-a.conflist", kList);
    EXPECT_TRUE(co_await node.Reached([&] { return node.HasEntry(); }));
    EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  }
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return !node.installer_.installed(); }));
  EXPECT_FALSE(node.HasEntry());
  EXPECT_THAT(node.installer_.pending(), HasSubstr("cni.exclusive=false"));
  EXPECT_TRUE(node.Says("heddle_cni_contested 1"));
  EXPECT_TRUE(node.Says("heddle_cni_installed 0"));
  EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  co_await node.End();
}

CO_TEST(CniInstaller, NamesNoProgramThatIsNotThere) {
  Node node(loop);
  fs::remove(node.from_ / "heddle-cni");
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(
      co_await node.Reached([&] { return node.installer_.pending().contains("heddle-cni"); }));
  EXPECT_FALSE(node.HasEntry());
  co_await node.End();
}

CO_TEST(CniInstaller, OnceItHasLeftItStaysOutAlsoWhenItStartsAnewUntilItReturns) {
  const TemporaryDirectory state;
  Node first(loop, state / "left");
  first.conf_.Write("10-a.conflist", kList);
  EXPECT_TRUE(co_await first.Reached([&] { return first.HasEntry(); }));
  EXPECT_TRUE((co_await first.installer_.LeaveChain()).ok());
  EXPECT_FALSE(first.HasEntry());
  co_await first.End();

  Node second(loop, state / "left");
  second.conf_.Write("10-a.conflist", kList);
  EXPECT_TRUE(second.installer_.left());
  second.bin_.Write("heddle-cni", "stub");
  EXPECT_TRUE(
      co_await second.Reached([&] { return second.installer_.pending().contains("leaves"); }));
  EXPECT_FALSE(second.HasEntry());
  EXPECT_EQ(second.bin_.Read("heddle-cni"), "stub");
  second.installer_.Return();
  second.conf_.Write("20-other", "wakes it");
  EXPECT_TRUE(co_await second.Reached([&] { return second.HasEntry(); }));
  EXPECT_FALSE(fs::exists(state / "left"));
  co_await second.End();
}

CO_TEST(CniInstaller, FindsADirectoryThatComesAgain) {
  Node node(loop);
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.installer_.installed(); }));
  fs::remove_all(node.conf_.path());
  EXPECT_TRUE(
      co_await node.Reached([&] { return node.installer_.pending().contains("no directory"); }));
  fs::create_directory(node.conf_.path());
  node.conf_.Replace("10-a.conflist", kList);
  EXPECT_TRUE(co_await node.Reached([&] { return node.HasEntry(); })) << node.installer_.pending();
  co_await node.End();
}

MonotonicTime At(double seconds) {
  return MonotonicTime::FromNanoseconds(0) + absl::Seconds(seconds);
}

TEST(CniRepairPace, DoublesItsWaitsUpToALimitAndForgetsAfterAQuietMinute) {
  CniRepairPace pace;
  EXPECT_TRUE(pace.MayRepair(At(100)));
  double now = 100;
  for (const double wait : {0, 1, 2, 4, 8, 10, 10}) {
    pace.Repaired(At(now));
    EXPECT_EQ(pace.next(), At(now + wait));
    now += wait;
  }
  EXPECT_TRUE(pace.Contested(At(now)));
  EXPECT_FALSE(pace.Contested(At(now + 60)));
  pace.Repaired(At(now + 60));
  EXPECT_TRUE(pace.MayRepair(At(now + 60)));
  EXPECT_FALSE(pace.Contested(At(now + 60)));
}

}  // namespace
}  // namespace heddle::agent
