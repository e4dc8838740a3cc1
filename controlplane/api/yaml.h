#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/api/tree.h"

namespace heddle::controlplane::api {

// Nesting of one document; Kubernetes objects have about fifteen levels.
inline constexpr size_t kMaxYamlDepth = 64;
// Parts (scalars, lists, mappings) of one text as it stands: about a hundred for each object.
inline constexpr size_t kMaxYamlParts = 4'000'000;
// Parts and bytes that anchors and aliases may add to it. People use a handful; kubectl prints
// none.
inline constexpr size_t kMaxYamlAliasParts = 100'000;
inline constexpr size_t kMaxYamlAliasBytes = 16 * 1024 * 1024;

struct YamlError {
  int line = 0;  // From 1.
  std::string reason;
  bool ok() const { return reason.empty(); }
};

// Reads all documents of a YAML text, JSON included. Aliases are expanded within the limits above;
// a key that appears twice in a mapping, merge keys (<<), keys that are not scalars and UTF-16 are
// refused. Never throws. After an error `documents` holds nothing.
YamlError ParseYaml(std::string_view text, std::vector<Tree>& documents);

}  // namespace heddle::controlplane::api
