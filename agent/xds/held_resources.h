#pragma once

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "agent/model/persistent_map.h"
#include "agent/model/state.h"

namespace heddle::agent {

// The type URL of a kind of resources, and back.
std::string_view TypeUrl(ResourceKind kind);
std::optional<ResourceKind> KindOf(std::string_view type_url);
inline constexpr ResourceKind kAllResourceKinds[] = {ResourceKind::kAddress, ResourceKind::kAuthorization,
                                                     ResourceKind::kNodePod};

// The last good version of a resource, as it was received: for telling a control plane what we have, and for the disk.
struct HeldResource {
  std::string version;
  std::string value;  // Empty with an empty version: refused, and never good; known to be wanted, not held.
};

struct HeldKind {
  bool received = false;
  PersistentMap<std::string, std::shared_ptr<const HeldResource>> resources;
};

// Copies share what they have in common, so one can be written to disk on a helper thread while the session goes on.
using HeldResources = std::array<HeldKind, kResourceKinds>;

}  // namespace heddle::agent
