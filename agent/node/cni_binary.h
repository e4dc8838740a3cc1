#pragma once

#include <absl/status/statusor.h>

#include <array>
#include <cstdint>
#include <string>

namespace heddle::agent {

// The plugin's program in the runtime's directory: a copy of the agent's own, whole or not there,
// mode 0755. Never removed: runtimes need it for the DEL of sandboxes that were made with it.
// Blocking; one thread at a time.
class CniBinary {
 public:
  // `source` is a file, `directory` the runtime's.
  CniBinary(std::string source, const std::string& directory);

  // True when what is there is not the source's copy.
  absl::StatusOr<bool> Differs();
  // Puts a copy there, by rename.
  absl::Status Install();

 private:
  // What changes when a file does: device, inode, size, mode and owner, times.
  using Stamp = std::array<int64_t, 7>;
  static Stamp StampOf(const std::string& path);

  const std::string source_;
  const std::string target_;
  const std::string temporary_;
  // Of both when they were last found to be the same: reading them each time is not needed.
  Stamp source_stamp_{};
  Stamp target_stamp_{};
};

}  // namespace heddle::agent
