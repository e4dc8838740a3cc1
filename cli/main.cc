#include <absl/strings/str_cat.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "cli/check_command.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/install_command.h"
#include "cli/place_file.h"
#include "cli/removal/purge_command.h"
#include "cli/removal/uninstall_command.h"
#include "cli/views.h"
#include "lib/base/status.h"
#include "lib/base/version.h"
#include "lib/daemon/option_values.h"

namespace heddle::cli {
namespace {

struct Options {
  std::string run_dir = "/run/heddle";
  std::string agent;       // host:port; empty: the socket in run_dir.
  std::string controller;  // host:port; empty: ask the agent only.
  Output output = Output::kTable;
  std::string from, to;  // Of place-file; take-file has `from` only.
};

Source AgentOf(const Options& options) {
  if (!options.agent.empty()) return {"", options.agent, "the agent"};
  return {absl::StrCat(options.run_dir, "/admin.sock"), "", "the agent"};
}

absl::StatusOr<std::string> Status(const Options& options) {
  if (!options.controller.empty()) {
    TRY_ASSIGN(const std::string nodes,
               Fetch({"", options.controller, "the controller"}, "/debug/nodes"));
    return options.output == Output::kJson ? nodes : NodesTable(nodes);
  }
  TRY_ASSIGN(const std::string status, Fetch(AgentOf(options), "/debug/status"));
  if (options.output == Output::kJson) return status;
  TRY_ASSIGN(const std::string pods, Fetch(AgentOf(options), "/debug/pods"));
  return AgentStatusTable(status, pods);
}

absl::StatusOr<std::string> Connections(const Options& options) {
  TRY_ASSIGN(const std::string connections, Fetch(AgentOf(options), "/debug/connections"));
  if (options.output == Output::kJson) return connections;
  TRY_ASSIGN(const std::string pods, Fetch(AgentOf(options), "/debug/pods"));
  return ConnectionsTable(connections, pods);
}

// A command whose table comes from one answer.
absl::StatusOr<std::string> Single(const Options& options, const std::string& path,
                                   absl::StatusOr<std::string> (*table)(std::string_view)) {
  TRY_ASSIGN(const std::string answer, Fetch(AgentOf(options), path));
  return options.output == Output::kJson ? answer : table(answer);
}

absl::StatusOr<std::string> Version(const Options& options) {
  if (options.output == Output::kJson) return absl::StrCat("{\"version\": \"", kVersion, "\"}\n");
  return absl::StrCat("heddlectl ", kVersion, "\n");
}

constexpr char kPlaceFile[] = "place-file";
constexpr char kTakeFile[] = "take-file";

struct Subcommand {
  const char* name;
  const char* help;
  absl::StatusOr<std::string> (*run)(const Options& options);
};

const Subcommand kSubcommands[] = {
    {"status", "Nodes, and which pods are captured and how (all nodes with --controller)", Status},
    {"pods", "Pods that this node captures",
     [](const Options& o) { return Single(o, "/debug/pods", PodsTable); }},
    {"connections",
     "Connections that this node serves now: where they come from and where they went",
     Connections},
    {"policies", "Authorization policies that this node holds",
     [](const Options& o) { return Single(o, "/debug/policies", PoliciesTable); }},
    {"certificates", "Certificates of this node's identities",
     [](const Options& o) { return Single(o, "/debug/certificates", CertificatesTable); }},
    {"ready", "Whether the agent serves: exit code 1 and why, when it does not",
     [](const Options& o) { return Single(o, "/debug/status", Readiness); }},
    {kPlaceFile,
     "Copies a small file, whole or not at all (for init containers: images have no cp)",
     [](const Options& o) { return PlaceFile(o.from, o.to); }},
    {kTakeFile,
     "Removes a file that place-file left, if the mesh has left this node (for the agent's hook)",
     [](const Options& o) {
       // The container's time to end has begun.
       return TakeFile(o.from, Fetch(AgentOf(o), "/debug/status", absl::Seconds(2)));
     }},
    {"version", "Version of this program", Version},
};

void AddOptions(CLI::App& app, Options& options) {
  const std::map<std::string, Output> outputs = {{"table", Output::kTable},
                                                 {"json", Output::kJson}};
  app.add_option("--run-dir", options.run_dir, "Run directory of the agent to ask")
      ->capture_default_str();
  app.add_option("--agent", options.agent,
                 "Admin port of the agent to ask, instead of its socket in --run-dir (host:port)");
  app.add_option("--controller", options.controller,
                 "Debug port of the controller (host:port), for the status of all nodes");
  app.add_option("-o,--output", options.output, "table or json")->transform(daemon::OneOf(outputs));
}

Action Printing(const Subcommand& command, const Options& options) {
  return [&command, &options]() -> absl::StatusOr<Outcome> {
    TRY_ASSIGN(std::string text, command.run(options));
    return Outcome{std::move(text)};
  };
}

int Do(const Action& action) {
  const absl::StatusOr<Outcome> outcome = action();
  if (!outcome.ok()) {
    std::fprintf(stderr, "heddlectl: %s\n", std::string(outcome.status().message()).c_str());
    return 1;
  }
  std::fwrite(outcome->text.data(), 1, outcome->text.size(), stdout);
  return std::fflush(stdout) == 0 ? outcome->exit_code : 1;
}

int Main(int argc, char** argv) {
  CLI::App app("Shows what Heddle does on this node. Exit codes: 0 done, 1 failed, 2 wrong usage.",
               "heddlectl");
  app.set_version_flag("--version", absl::StrCat("heddlectl ", kVersion), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();
  Options options;
  AddOptions(app, options);
  for (const Subcommand& command : kSubcommands) app.add_subcommand(command.name, command.help);
  CLI::App* place = app.get_subcommand(kPlaceFile);
  place->add_option("from", options.from, "The file")->required();
  place->add_option("to", options.to, "What it is to be called there; missing folders are made")
      ->required();
  app.get_subcommand(kTakeFile)->add_option("file", options.from, "The file")->required();
  Action chosen;
  AddCheckCommand(app, options.output, options.run_dir, chosen);
  AddInstallCommands(app, chosen);
  AddUninstallCommand(app, chosen);
  AddPurgeCommand(app, options.run_dir, chosen);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  for (const Subcommand& command : kSubcommands) {
    if (app.got_subcommand(command.name)) chosen = Printing(command, options);
  }
  return chosen ? Do(chosen) : 2;
}

}  // namespace
}  // namespace heddle::cli

int main(int argc, char** argv) { return heddle::cli::Main(argc, argv); }
