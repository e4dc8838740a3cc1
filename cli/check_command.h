#pragma once

#include <CLI/CLI.hpp>
#include <string>

#include "cli/command.h"

namespace heddle::cli {

// `heddlectl check`: whether a node or a cluster is as it has to be. Sets `chosen` when it is the
// subcommand that is asked for. `app`, `output` and `chosen` outlive each other's use.
void AddCheckCommand(CLI::App& app, const Output& output, const std::string& run_dir,
                     Action& chosen);

}  // namespace heddle::cli
