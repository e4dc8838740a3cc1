#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <string_view>

#include "controlplane/api/tree.h"

namespace heddle::controlplane::api {

// Nesting and parts of one object, as for YAML: Kubernetes objects have about fifteen levels and
// some hundred parts, EndpointSlices of a thousand endpoints some ten thousand.
inline constexpr size_t kMaxJsonDepth = 64;
inline constexpr size_t kMaxJsonParts = 1'000'000;

// Reads one object of an API server (RFC 8259), as the tree that the same object written in YAML
// gives, but without lines. A key that appears twice in an object is refused. metadata.managedFields,
// half of most objects and nobody's business here, is left out. Never throws; the error's message is
// a reason.
absl::StatusOr<Tree> ParseJson(std::string_view text);

}  // namespace heddle::controlplane::api
