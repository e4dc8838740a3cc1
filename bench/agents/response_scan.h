#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace heddle::bench {

// What an agent that keeps nothing has to know of a DeltaDiscoveryResponse.
struct ScannedResponse {
  std::string type_url;
  std::string nonce;
  size_t resources = 0;
  std::optional<std::string>
      found;  // The bytes of the resource that was looked for, out of its Any.
};

// Reads a serialized DeltaDiscoveryResponse without a copy of its resources: a hundred agents in one process that each
// took apart all of a large mesh would measure themselves. INVALID_ARGUMENT where the bytes are no such message.
absl::StatusOr<ScannedResponse> ScanResponse(std::string_view bytes, std::string_view name);

}  // namespace heddle::bench
