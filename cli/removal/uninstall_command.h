#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace heddle::cli {

// `heddlectl uninstall`: has the mesh leave the cluster in order (decision 014). Sets `chosen` when it
// is the subcommand that is asked for.
void AddUninstallCommand(CLI::App& app, Action& chosen);

}  // namespace heddle::cli
