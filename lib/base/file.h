#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

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

// A file's bytes where the kernel has them: nothing is copied, which of tens of megabytes takes tens of milliseconds.
// For files that are only ever replaced (ReplaceFile): whoever shortens one in place while it is looked at ends the
// process. A disk that cannot give the bytes is an error of Map(), which has read all of them.
class MappedFile {
 public:
  // As ReadFile().
  static absl::StatusOr<MappedFile> Map(const std::string& path, uint64_t size_max);

  MappedFile(MappedFile&& other) noexcept : bytes_(std::exchange(other.bytes_, {})) {}
  MappedFile& operator=(MappedFile other) noexcept {
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~MappedFile();

  // Live as long as this object.
  std::string_view bytes() const { return bytes_; }

 private:
  explicit MappedFile(std::string_view bytes) : bytes_(bytes) {}

  std::string_view bytes_;
};

// Whether the path leads to a file or directory; never for an empty one.
bool IsThere(const std::string& path);

}  // namespace heddle
