#pragma once

#include <absl/strings/string_view.h>

#include <string_view>

namespace heddle {

// Debian's abseil has a string_view of its own. Our interfaces use std's; these convert at the calls into abseil.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

}  // namespace heddle
