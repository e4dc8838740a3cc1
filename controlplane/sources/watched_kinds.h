#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/object.h"

namespace heddle::controlplane::sources {

// Where an API server has the objects of a kind, in all namespaces.
struct WatchedKind {
  api::Kind kind;
  // One for each version that has the same fields, the preferred one first.
  std::vector<std::string> paths;
  std::string field_selector = {};  // Only what it selects; empty: all.
};

// The one ConfigMap that asks for the removal of the mesh, in Heddle's own namespace.
WatchedKind RemovalKind(const std::string& own_namespace);

// Every kind of which the translation uses something. Service accounts are not among them: what
// counts is the name that a pod gives.
const std::vector<WatchedKind>& WatchedKinds();

// Kinds that steer or guard traffic elsewhere and have no effect here, as for a directory
// (api::DecodeDocument): that they are there is said.
struct IgnoredKind {
  std::string name;
  std::vector<std::string> paths;
};
const std::vector<IgnoredKind>& IgnoredKinds();

}  // namespace heddle::controlplane::sources
