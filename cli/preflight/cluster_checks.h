#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "cli/preflight/finding.h"

// What an API server says, judged. Pure.
namespace heddle::cli {

// The answer to /version.
Finding JudgeServerVersion(const nlohmann::json& version);

}  // namespace heddle::cli
