#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/result.h"

namespace heddle::daemon {

// What a program that serves is asked to do.
enum class Command : uint8_t { kRun, kVersion, kCheckConfig };

// The text to print instead of doing it (help, the version, or what is wrong), and the exit code: 0
// for what was asked for, 2 for wrong usage. The former goes to stdout, what is wrong to stderr.
struct Exit {
  int code = 0;
  std::string text;
};
// Prints it; returns its code.
int Print(const Exit& exit);

// What --help says.
struct Program {
  std::string name;
  std::string purpose;  // Of the program, a sentence.
  std::string run;      // Of `run`, a phrase.
};

// Parses `NAME [--config FILE] run|version|check-config [OPTIONS]`, `--help` and `--version`.
// `add_options` is called for `run` and for `check-config`, which take the same ones; whatever it
// binds outlives the call. Order: default < file < environment < flag.
Result<Command, Exit> ParseCommandLine(const Program& program,
                                       const std::function<void(CLI::App&)>& add_options, int argc,
                                       const char* const* argv);

}  // namespace heddle::daemon
