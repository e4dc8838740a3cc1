#include "lib/cni/version.h"

#include <algorithm>
#include <array>

#include "lib/cni/json.h"

namespace heddle::cni {
namespace {

constexpr std::array<std::string_view, 4> kVersions = {"0.3.1", "0.4.0", "1.0.0", "1.1.0"};

struct CommandRow {
  Command command;
  std::string_view name;
  std::string_view since;
};
constexpr CommandRow kCommands[] = {
    {Command::kAdd, "ADD", "0.3.1"},       {Command::kDel, "DEL", "0.3.1"}, {Command::kCheck, "CHECK", "0.4.0"},
    {Command::kStatus, "STATUS", "1.1.0"}, {Command::kGc, "GC", "1.1.0"},   {Command::kVersion, "VERSION", "0.3.1"},
};

const CommandRow& RowOf(Command command) {
  return *std::ranges::find(kCommands, command, &CommandRow::command);
}

}  // namespace

std::string_view CommandName(Command command) { return RowOf(command).name; }

std::optional<Command> ParseCommand(std::string_view name) {
  const auto* row = std::ranges::find(kCommands, name, &CommandRow::name);
  if (row == std::end(kCommands)) return std::nullopt;
  return row->command;
}

std::span<const std::string_view> SupportedVersions() { return kVersions; }
std::string_view NewestVersion() { return kVersions.back(); }

CniResult<void> CheckVersion(std::string_view version, Command command) {
  const auto position = std::ranges::find(kVersions, version);
  if (position == kVersions.end()) {
    return std::unexpected(Error{
        .code = ErrorCode::kIncompatibleVersion,
        .msg = version.empty() ? "the configuration has no cniVersion; the conflist must name one"
                               : "cniVersion " + std::string(version) + " is not supported",
        .details = "supported: 0.3.1, 0.4.0, 1.0.0, 1.1.0"});
  }
  const CommandRow& row = RowOf(command);
  if (position < std::ranges::find(kVersions, row.since)) {
    return std::unexpected(Error{.code = ErrorCode::kIncompatibleVersion,
                                 .msg = std::string(row.name) + " exists since cniVersion " + std::string(row.since) +
                                        "; the configuration says " + std::string(version)});
  }
  return {};
}

std::string VersionJson(std::string_view requested) {
  const bool known = std::ranges::find(kVersions, requested) != kVersions.end();
  std::string json = "{\"cniVersion\":" + QuoteJson(known ? requested : NewestVersion()) + ",\"supportedVersions\":[";
  for (const std::string_view version : kVersions) {
    if (version != kVersions.front()) json += ',';
    json += QuoteJson(version);
  }
  return json + "]}\n";
}

}  // namespace heddle::cni
