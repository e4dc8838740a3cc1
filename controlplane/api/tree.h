#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace heddle::controlplane::api {

struct TreeMember;

// A parsed YAML or JSON document, with the line of every part, so that a refusal can name its
// place. A value. Whoever builds one bounds its depth and size; readers recurse.
struct Tree {
  // kPlain is a scalar without quotes, which may mean a number, a boolean or text; kText is a
  // quoted one, always text.
  enum class Kind : uint8_t { kNull, kPlain, kText, kList, kMap };

  Kind kind = Kind::kNull;
  int line = 0;  // From 1; 0 is unknown.
  std::string text;
  std::vector<Tree> items;
  std::vector<TreeMember> members;  // In order of appearance, no key twice.

  bool is_scalar() const { return kind == Kind::kPlain || kind == Kind::kText; }
};

struct TreeMember {
  std::string key;
  int line = 0;
  Tree value;
};

}  // namespace heddle::controlplane::api
