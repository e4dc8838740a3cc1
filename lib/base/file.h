#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace heddle {

// The small files that a program keeps for itself, read and replaced whole. Blocking; any thread, one writer for each
// path. Interrupted and partial calls are continued.

// What a replacement has to survive. kPowerLoss waits for the disk: after an outage there is the old file or the new
// one, never half of it (which of the two is not promised).
enum class Durability : uint8_t { kProcessCrash, kPowerLoss };

// Puts a file with these bytes (mode 0600) in the place of `path`: a reader sees the old one or the new one. When that
// fails, the old one stays and nothing else is left. The bytes are gathered in `path`.new.
absl::Status ReplaceFile(const std::string& path, std::string_view bytes, Durability durability);

// NOT_FOUND when there is none, OUT_OF_RANGE when it is longer than `size_max`.
absl::StatusOr<std::string> ReadFile(const std::string& path, uint64_t size_max);

// Whether the path leads to a file or directory; never for an empty one.
bool IsThere(const std::string& path);

}  // namespace heddle
