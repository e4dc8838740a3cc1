#pragma once

#include <absl/strings/string_view.h>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>

namespace heddle {

// Debian's abseil has a string_view of its own. Our interfaces use std's; these convert at the calls into abseil.
inline absl::string_view ToAbsl(std::string_view text) { return {text.data(), text.size()}; }
inline std::string_view ToStd(absl::string_view text) { return {text.data(), text.size()}; }

// What others say, for log lines, messages and terminals: printable ASCII, other bytes as '?', and no longer than
// `bytes_max`. It neither moves a cursor nor makes lines of its own.
inline std::string Printable(std::string_view text, size_t bytes_max) {
  std::string printable(text.substr(0, bytes_max));
  std::ranges::replace_if(printable, [](char c) { return c < ' ' || c > '~'; }, '?');
  return printable;
}

}  // namespace heddle
