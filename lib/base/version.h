#pragma once

namespace heddle {

// The version of all programs of this tree: project(VERSION) in CMakeLists.txt.
inline constexpr char kVersion[] = HEDDLE_VERSION;

}  // namespace heddle
