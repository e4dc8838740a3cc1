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
};

// Every kind of which the translation uses something. Service accounts are not among them: what
// counts is the name that a pod gives.
const std::vector<WatchedKind>& WatchedKinds();

}  // namespace heddle::controlplane::sources
