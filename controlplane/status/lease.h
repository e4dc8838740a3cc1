#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace heddle::controlplane::status {

// A coordination.k8s.io/v1 Lease as far as an election uses it. A value.
struct Lease {
  std::string holder;  // Empty: given up.
  absl::Duration duration;
  absl::Time acquired;
  absl::Time renewed;
  int64_t transitions = 0;  // How often the holder changed.
  // The version that this was read as; a write that names it fails if the object has changed since.
  std::string resource_version;
  bool operator==(const Lease&) const = default;
};

// The error is a sentence. A field that is missing or of another form is as if it were not set.
absl::StatusOr<Lease> ParseLease(std::string_view json);
// The whole object. Without a resource version it is a new one.
std::string ToJson(const Lease& lease, const std::string& name_space, const std::string& name);

}  // namespace heddle::controlplane::status
