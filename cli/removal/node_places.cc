#include "cli/removal/node_places.h"

#include <absl/strings/str_cat.h>

#include <filesystem>

#include "agent/node/cni_chain_edit.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

namespace fs = std::filesystem;

// Beside this program, or where cmake --install puts it.
std::string OwnStub() {
  std::error_code error;
  const fs::path folder = fs::read_symlink("/proc/self/exe", error).parent_path();
  fs::path beside = folder / agent::kCniStubName;
  return fs::exists(beside, error) ? beside
                                   : folder.parent_path() / "libexec/heddle" / agent::kCniStubName;
}

}  // namespace

void AddNodePlaceOptions(CLI::App& command, NodePlaceOptions& options) {
  command.add_option("--pin-dir", options.pin_dir, "The agent's")->capture_default_str();
  command.add_option("--state-dir", options.state_dir, "The agent's")->capture_default_str();
  command
      .add_option("--seccomp-dir", options.seccomp_dir,
                  "The kubelet's folder of profiles, as agent.host.seccomp")
      ->capture_default_str();
  command.add_option("--cni-stub", options.stub,
                     "The program that stays in the plugin's place (default: the one that was "
                     "installed with this one)");
}

absl::StatusOr<agent::NodePlaces> PlacesOf(const NodePlaceOptions& options,
                                           const std::string& run_dir) {
  TRY_ASSIGN(const agent::CniPaths platform, agent::CniPathsOf(options.cni_platform));
  const std::string root = options.host_root == "/" ? "" : options.host_root;
  const auto there = [&root](const std::string& path) { return root + path; };
  const auto chosen = [](const std::string& own, const std::string& of_platform) {
    return own.empty() ? of_platform : own;
  };
  return agent::NodePlaces{
      .cgroup = there(options.cgroup),
      .pin_dir = there(options.pin_dir),
      .directories = {.run_dir = there(run_dir), .state_dir = there(options.state_dir)},
      .cni = {.conf_dir = there(chosen(options.cni_conf_dir, platform.conf_dir)),
              .bin_dir = there(chosen(options.cni_bin_dir, platform.bin_dir))},
      .stub = options.stub.empty() ? OwnStub() : options.stub,
      .seccomp_profile = there(absl::StrCat(options.seccomp_dir, "/heddle/agent.json")),
      .host_root = root};
}

}  // namespace heddle::cli
