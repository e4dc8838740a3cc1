#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/command.h"
#include "cli/removal/node_places.h"

namespace heddle::cli {

// `heddlectl purge`: takes Heddle off this node. Sets `chosen` when it is the subcommand that is asked
// for. `run_dir` is read when it runs.
void AddPurgeCommand(CLI::App& app, const std::string& run_dir, Action& chosen);

// `heddlectl check --purged`: what of Heddle is left on this node; exit code 1 when something is.
absl::StatusOr<Outcome> CheckPurged(const NodePlaceOptions& options, const std::string& run_dir,
                                    Output output);

}  // namespace heddle::cli
