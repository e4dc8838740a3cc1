#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace heddle::controlplane::ca {

// Largest file that is read here: keys, certificates, tokens.
inline constexpr size_t kMaxPrivateFileBytes = size_t{1024} * 1024;

// Whether others may read a file. A secret that they can read is refused, not repaired: it may have
// been read.
enum class Secrecy : uint8_t { kSecret, kPublic };

// Makes the directory, 0700, if it is not there. An error when it is no directory, or when others
// than its owner may write into it.
absl::Status MakePrivateDirectory(const std::string& path);

// A regular file, not through a symbolic link. NOT_FOUND when there is none.
absl::StatusOr<std::string> ReadPrivateFile(const std::string& path, Secrecy secrecy);

// Writes a file that is not there yet, 0600. It appears whole and on disk, or not at all;
// ALREADY_EXISTS when somebody was faster.
absl::Status CreatePrivateFile(const std::string& path, std::string_view contents);

}  // namespace heddle::controlplane::ca
