#include "cli/removal/purge_command.h"

#include <absl/strings/str_cat.h>
#include <unistd.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "cli/fetch.h"
#include "lib/base/status.h"

namespace heddle::cli {
namespace {

struct PurgeOptions {
  bool force = false;
  NodePlaceOptions places;
};

absl::Status NeedRoot(const char* command) {
  if (::geteuid() == 0) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(command, " needs root on the node"));
}

// An agent that lives would bring back what is taken away.
absl::Status CheckAgentIsGone(const agent::NodePlaces& places) {
  const std::string socket = absl::StrCat(places.directories.run_dir, "/admin.sock");
  if (!Fetch({socket, "", "the agent"}, "/debug/status").ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      "an agent is alive on this node (", socket,
      "): delete its DaemonSet first, or have the mesh leave in order by `helm uninstall` or "
      "`heddlectl uninstall`; --force goes on all the same"));
}

absl::StatusOr<Outcome> Purge(const PurgeOptions& options, const std::string& run_dir) {
  TRY_STATUS(NeedRoot("purge"));
  TRY_ASSIGN(const agent::NodePlaces places, PlacesOf(options.places, run_dir));
  if (!options.force) TRY_STATUS(CheckAgentIsGone(places));
  const agent::Purged purged = agent::PurgeNode(places);
  Outcome outcome;
  for (const std::string& line : purged.done) absl::StrAppend(&outcome.text, line, "\n");
  for (const std::string& line : purged.failed)
    absl::StrAppend(&outcome.text, "FAILED: ", line, "\n");
  if (purged.done.empty() && purged.failed.empty()) outcome.text = "there was nothing to do\n";
  outcome.exit_code = purged.failed.empty() ? 0 : 1;
  return outcome;
}

}  // namespace

absl::StatusOr<Outcome> CheckPurged(const NodePlaceOptions& options, const std::string& run_dir,
                                    Output output) {
  TRY_STATUS(NeedRoot("check --purged"));
  TRY_ASSIGN(const agent::NodePlaces places, PlacesOf(options, run_dir));
  const std::vector<std::string> traces = agent::FindTraces(places);
  const std::vector<std::string> kept = agent::FindKept(places);
  Outcome outcome{.text = "", .exit_code = traces.empty() ? 0 : 1};
  if (output == Output::kJson) {
    outcome.text = nlohmann::json({{"left", traces}, {"kept", kept}})
                       .dump(2, ' ', false, nlohmann::json::error_handler_t::replace) +
                   "\n";
    return outcome;
  }
  for (const std::string& trace : traces) absl::StrAppend(&outcome.text, "LEFT: ", trace, "\n");
  for (const std::string& each : kept) absl::StrAppend(&outcome.text, "kept: ", each, "\n");
  if (traces.empty())
    absl::StrAppend(&outcome.text, "nothing of Heddle is left on this node",
                    kept.empty() ? "" : " but that", "\n");
  return outcome;
}

void AddPurgeCommand(CLI::App& app, const std::string& run_dir, Action& chosen) {
  auto options = std::make_shared<PurgeOptions>();
  CLI::App* purge = app.add_subcommand(
      "purge", "Takes Heddle off this node, after its agent was deleted without an uninstall");
  purge->add_flag("--force", options->force, "Although an agent is alive");
  purge->add_option("--host-root", options->places.host_root,
                    "Where the node's files are: /host in `kubectl debug node/...`");
  purge->add_option("--cgroup", options->places.cgroup, "The agent's")->capture_default_str();
  purge
      ->add_option("--cni-platform", options->places.cni_platform,
                   "Where the runtime's CNI folders are, as agent.cni.platform")
      ->capture_default_str();
  purge->add_option("--cni-conf-dir", options->places.cni_conf_dir, "In place of the platform's");
  purge->add_option("--cni-bin-dir", options->places.cni_bin_dir, "In place of the platform's");
  AddNodePlaceOptions(*purge, options->places);
  purge->callback([options, &run_dir, &chosen] {
    chosen = [options, &run_dir] { return Purge(*options, run_dir); };
  });
}

}  // namespace heddle::cli
