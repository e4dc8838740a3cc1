#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "lib/cni/error.h"

namespace heddle::cni {

enum class Command { kAdd, kDel, kCheck, kStatus, kGc, kVersion };

// "ADD", ...; ParseCommand is its inverse and is exact in case, as the specification is.
std::string_view CommandName(Command command);
std::optional<Command> ParseCommand(std::string_view name);

// Versions of the specification that the plugin speaks, oldest first: 0.3.1, 0.4.0, 1.0.0, 1.1.0.
std::span<const std::string_view> SupportedVersions();
std::string_view NewestVersion();

// Whether a configuration of `version` may be used with `command`: code 1 for a version that is not supported, and for
// CHECK before 0.4.0 or STATUS and GC before 1.1.0.
CniResult<void> CheckVersion(std::string_view version, Command command);

// The answer to VERSION, with a newline. `requested` is echoed if it is supported.
std::string VersionJson(std::string_view requested);

}  // namespace heddle::cni
