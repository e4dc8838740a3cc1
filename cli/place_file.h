#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace heddle::cli {

inline constexpr size_t kMaxPlacedBytes = 1024 * 1024;  // Profiles and certificates, not programs.

// Copies `from` to `to` by a temporary file beside it and a rename, mode 0644, so that nobody reads
// half of it; makes the folders on the way. What it says when it is done; the error is a sentence.
absl::StatusOr<std::string> PlaceFile(const std::string& from, const std::string& to);

}  // namespace heddle::cli
