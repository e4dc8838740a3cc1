#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

namespace heddle::controlplane::ca {

// Largest file that is read here. Keys, certificates and tokens have some KiB; a list of the
// captured pods has 40 bytes for each.
inline constexpr size_t kMaxPrivateFileBytes = size_t{16} * 1024 * 1024;

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

// Replaces a file, or makes it, 0600. Readers see the old one or the new one. After a power cut it
// may be the old one, because nothing waits for the disk here.
absl::Status ReplacePrivateFile(const std::string& path, std::string_view contents);

}  // namespace heddle::controlplane::ca
