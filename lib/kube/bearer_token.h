#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>

#include "lib/base/clock.h"
#include "lib/kube/cluster_access.h"

namespace heddle::kube {

// How old a token from a file may be before it is read again. The kubelet writes a new one when a
// fifth of the old one's hour is left.
inline constexpr absl::Duration kTokenAge = absl::Seconds(30);

// The token that requests carry, read from its file again and again. Threads: one.
class BearerToken {
 public:
  // Empty material is no token: the client's certificate says who we are.
  explicit BearerToken(Material material) : material_(std::move(material)) {}

  // The token, empty when there is none to carry. A file that cannot be read now leaves the token
  // that was read last in use; an error is that there never was one, or that the file is no token.
  absl::StatusOr<std::string> Get(MonotonicTime now);
  // The server refused it: the next Get reads the file.
  void Forget() { read_at_.reset(); }

 private:
  absl::StatusOr<std::string> Read() const;

  Material material_;
  std::string token_;
  std::optional<MonotonicTime> read_at_;
};

}  // namespace heddle::kube
