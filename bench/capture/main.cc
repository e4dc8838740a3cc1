#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bench/load/connect_cost.h"
#include "lib/base/clock.h"
#include "lib/base/unique_fd.h"
#include "lib/daemon/option_values.h"
#include "tests/bpf/node.h"

namespace heddle::bench {
namespace {

constexpr const char* kPurpose =
    "What connect(2) takes on a blocking socket when nothing is in its way, when nftables' REDIRECT "
    "changes where it goes, and when Heddle's BPF programs do. The listener is the same in all "
    "three, in the pod itself, and takes the connection after the call: nobody is woken by it. "
    "Prints a JSON object.";

enum class Way : uint8_t { kNone, kRedirect, kCaptured };
const std::map<std::string, Way> kWays = {
    {"none", Way::kNone}, {"redirect", Way::kRedirect}, {"captured", Way::kCaptured}};

struct Settings {
  Way way = Way::kNone;
  size_t count = 10'000;
  std::string nft = "nft";
};

constexpr uint16_t kPort = 9300;
constexpr char kRedirectedIp[] = "198.51.100.1";  // Of nobody: RFC 5737.
constexpr size_t kConnectsPerBeat = 64;
constexpr int kBacklog = 64;

// A node with one pod, which the agent's programs capture if that is asked for; without an agent's process.
class Node final : public agent::NodeTest {
 public:
  // False: it could not be made, which has been said.
  bool Begin(const Settings& settings) {
    SetUp();
    if (Failed()) return false;
    if (settings.way == Way::kCaptured) StartAgent();
    if (Failed()) return false;
    pod_ = MakePod("a", 1);
    if (Failed()) return false;
    if (settings.way == Way::kCaptured) {
      to_ = {outside_->v4, kPort};
      Capture(*pod_);
      listener_ = std::move(pod_->outbound);
    } else {
      to_ = {pod_->v4, kPort};
      if (settings.way == Way::kRedirect) Redirect(settings.nft);
      listener_ = RunAs("kubepods/a", &pod_->netns, [] { return agent::Listen(kPort, kBacklog); }).socket;
    }
    return !Failed() && listener_.valid();
  }

  void End() {
    listener_.Reset();
    pod_.reset();
    TearDown();
  }

  // In a process of the pod; prints the report. Errno, or 0.
  int Measure(size_t count) {
    return RunAs("kubepods/a", &pod_->netns, [&] {
             std::vector<int64_t> samples;
             agent::Answer answer;
             while (answer.error == 0 && samples.size() < count) answer.error = ConnectOnce(samples);
             std::printf("%s\n", ConnectCostJson(samples, answer.error).c_str());
             std::fflush(stdout);  // The process ends by _exit(2).
             return answer;
           })
        .error;
  }

 private:
  void TestBody() override {}

  // A part of it is missing; going on would be on the machine's own network.
  static bool Failed() { return HasFatalFailure() || IsSkipped(); }

  void Redirect(const std::string& nft) {
    to_ = agent::At(kRedirectedIp, kPort);
    pod_->netns.Shell(absl::StrCat(
        nft, " add table ip bench\n", nft,
        " 'add chain ip bench output { type nat hook output priority -100; }'\n", nft,
        " add rule ip bench output ip daddr ", kRedirectedIp, " tcp dport ", kPort, " redirect to :", kPort));
  }

  int ConnectOnce(std::vector<int64_t>& samples) {
    if (loader_ && samples.size() % kConnectsPerBeat == 0) loader_->settings().Beat();
    if (const int error = TimeConnect(clock_, to_, samples); error != 0) return error;
    return agent::Accept(listener_.get()) ? 0 : ETIMEDOUT;
  }

  SystemClock clock_;
  std::unique_ptr<agent::Pod> pod_;
  UniqueFd listener_;
  io::SocketAddress to_;
};

int Run(const Settings& settings) {
  if (::geteuid() != 0) {
    std::fprintf(stderr, "heddle-bench-capture needs root: it makes network namespaces and loads BPF programs\n");
    return 1;
  }
  Node node;
  const bool begun = node.Begin(settings);
  const int error = begun ? node.Measure(settings.count) : 0;
  node.End();
  if (!begun) std::fprintf(stderr, "the pod could not be made, or nothing listens in it\n");
  return !begun || error != 0 || testing::Test::HasFailure() ? 1 : 0;
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app(kPurpose, "heddle-bench-capture");
  app.add_option("way", settings.way, "What is in the way of connect(2)")
      ->required()
      ->transform(daemon::OneOf(kWays));
  app.add_option("--count", settings.count, "Connects")->capture_default_str()->check(CLI::Range(1, 1'000'000));
  app.add_option("--nft", settings.nft, "The program nft")->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  return Run(settings);
}

}  // namespace
}  // namespace heddle::bench

int main(int argc, char** argv) { return heddle::bench::Main(argc, argv); }
