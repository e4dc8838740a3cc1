#pragma once

#include <CLI/CLI.hpp>

#include "cli/command.h"

namespace heddle::cli {

// `heddlectl install` and `heddlectl upgrade`. As AddCheckCommand.
void AddInstallCommands(CLI::App& app, Action& chosen);

}  // namespace heddle::cli
