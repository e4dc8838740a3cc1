#pragma once

#include <absl/status/statusor.h>

#include <string>

namespace heddle::cli {

inline constexpr size_t kMaxPlacedBytes = 1024 * 1024;  // Profiles and certificates, not programs.

// Copies `from` to `to` by a temporary file beside it and a rename, mode 0644, so that nobody reads
// half of it; makes the folders on the way. What it says when it is done; the error is a sentence.
absl::StatusOr<std::string> PlaceFile(const std::string& from, const std::string& to);

// The way back, once the mesh has left the node for good: removes `path` if `status`, what the agent
// answers to /debug/status, says that it has (decision 014), and else says why it stays. A file that
// is not there is no error.
absl::StatusOr<std::string> TakeFile(const std::string& path,
                                     const absl::StatusOr<std::string>& status);

}  // namespace heddle::cli
