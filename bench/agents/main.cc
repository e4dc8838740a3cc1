#include <CLI/CLI.hpp>
#include <cstdio>

#include "bench/agents/announcement.h"
#include "bench/agents/convergence.h"
#include "lib/base/log.h"

namespace heddle::bench {
namespace {

constexpr const char* kPurpose =
    "Simulated agents of a controller: how long all of them take to get everything, and how long a "
    "change of one pod takes to become effective in each. The change is made here, in the "
    "controller's directory of objects, or by somebody else (--announce). Prints JSON; exits with 1 "
    "on any error.";

void AddOptions(CLI::App& app, ConvergenceOptions& options, double& pause_ms, bool& announce) {
  FleetOptions& fleet = options.fleet;
  app.add_option("--controller", fleet.controller, "The controller's gRPC port")
      ->required()
      ->type_name("HOST:PORT");
  app.add_option("--server-name", fleet.server_name, "DNS name in its certificate")
      ->capture_default_str();
  app.add_option("--roots", fleet.roots_file, "root-cert.pem of its state directory")->required();
  app.add_option("--tokens", fleet.token_dir, "tokens/ of its state directory")->required();
  app.add_option("--node-prefix", fleet.node_prefix,
                 "Agents are those of the nodes PREFIX0, PREFIX1, ...")
      ->required();
  app.add_option("--agents", fleet.agents, "How many")
      ->capture_default_str()
      ->check(CLI::Range(1, 10'000));
  app.add_option("--holding", fleet.holding,
                 "So many of them hold and apply the state; the others take it only")
      ->capture_default_str();
  app.add_option("--watched", fleet.watched, "Resource name of the pod that changes")->required();
  app.add_option("--controller-pid", options.controller_pid, "For its CPU time and memory");
  app.add_option("--changes", options.changes, "How many")->capture_default_str();
  app.add_option("--pause-ms", pause_ms,
                 "Between a change that is effective everywhere and the next")
      ->capture_default_str();
  auto* change =
      app.add_option("--change-file", options.change_file, "The controller's file with that pod");
  auto* ready = app.add_option("--ready-file", options.ready_file, "The file with the pod ready,");
  auto* unready = app.add_option("--unready-file", options.unready_file, "and not ready");
  change->needs(ready)->needs(unready);
  app.add_flag("--announce", announce,
               "Says when a change that somebody else makes is effective in all agents")
      ->excludes(change);
}

int Main(int argc, const char* const* argv) {
  ConvergenceOptions options;
  double pause_ms = 20;
  CLI::App app(kPurpose);
  bool announce = false;
  AddOptions(app, options, pause_ms, announce);
  CLI11_PARSE(app, argc, argv);
  if (announce) return RunAnnouncement({.fleet = options.fleet, .changes = options.changes});
  if (options.change_file.empty()) {
    std::fprintf(stderr, "--change-file or --announce is needed\n");
    return 2;
  }
  options.pause = absl::Milliseconds(pause_ms);
  return RunConvergence(options);
}

}  // namespace
}  // namespace heddle::bench

int main(int argc, char** argv) { return heddle::bench::Main(argc, argv); }
