#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>

namespace heddle::cli {

// Where an answer comes from: a Unix socket's path, or "host:port" with an IP address as host.
struct Source {
  std::string unix_path;
  std::string address;
  std::string what;  // "the agent", for error messages.
};

// The body of GET `path`. The status is a sentence that says what to check.
absl::StatusOr<std::string> Fetch(const Source& source, const std::string& path,
                                  absl::Duration patience = absl::Seconds(10));

}  // namespace heddle::cli
