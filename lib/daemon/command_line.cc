#include "lib/daemon/command_line.h"

#include <absl/strings/str_cat.h>

#include <cstdio>
#include <sstream>

#include "lib/base/version.h"

namespace heddle::daemon {
namespace {

constexpr int kWrongUsage = 2;

Exit FromParseError(const CLI::App& app, const CLI::ParseError& error) {
  std::ostringstream out;
  std::ostringstream err;
  const int code = app.exit(error, out, err);
  return {code == 0 ? 0 : kWrongUsage, out.str() + err.str()};
}

}  // namespace

int Print(const Exit& exit) {
  std::fputs(exit.text.c_str(), exit.code == 0 ? stdout : stderr);
  return exit.code;
}

Result<Command, Exit> ParseCommandLine(const Program& program,
                                       const std::function<void(CLI::App&)>& add_options, int argc,
                                       const char* const* argv) {
  CLI::App app(program.purpose, program.name);
  app.set_config("--config", "", "File with the same options (TOML or INI); flags win over it");
  app.set_version_flag("--version", absl::StrCat(program.name, " ", kVersion), "Print the version");
  app.require_subcommand(1);
  app.fallthrough();  // --config and --version may stand behind the command, too.
  CLI::App* run = app.add_subcommand("run", program.run);
  CLI::App* version = app.add_subcommand("version", "Print the version");
  CLI::App* check = app.add_subcommand("check-config", "Check the options and print what holds");
  add_options(*run);
  add_options(*check);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return std::unexpected(FromParseError(app, error));
  }
  if (version->parsed()) return Command::kVersion;
  return check->parsed() ? Command::kCheckConfig : Command::kRun;
}

}  // namespace heddle::daemon
