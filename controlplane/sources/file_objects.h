#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "controlplane/api/decode.h"
#include "controlplane/api/object.h"

namespace heddle::controlplane::sources {

// An object's key without its strings. Lives as long as what it was made of.
struct KeyView {
  explicit KeyView(const api::ObjectKey& key)
      : kind(key.kind), name_space(key.name.name_space), name(key.name.name) {}
  explicit KeyView(const api::Object& object);
  bool operator==(const KeyView&) const = default;
  size_t Hash() const;

  api::Kind kind;
  std::string_view name_space;
  std::string_view name;
};

// What one file says. All but a few of its objects are good and there once: of those no more than the object is
// held. A value.
struct FileObjects {
  // A good object, the first with its key.
  struct Claim {
    api::Object object;
    int line = 0;
    uint32_t index = 0;  // Among all that the file has.
  };
  // What is refused, or given a second time.
  struct Suspect {
    api::Decoded decoded;
    uint32_t index = 0;
    bool first = false;  // With its key.
  };

  FileObjects() = default;
  explicit FileObjects(std::vector<api::Decoded> objects);

  // Null when it is none of them.
  const Claim* ClaimAt(uint32_t index) const;
  Claim* ClaimAt(uint32_t index);
  const Suspect* SuspectAt(uint32_t index) const;

  // Both in the order of the file.
  std::vector<Claim> claims;
  std::vector<Suspect> suspects;
};

}  // namespace heddle::controlplane::sources
