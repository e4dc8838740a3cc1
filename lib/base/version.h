#pragma once

namespace heddle {

// The version of all programs of this tree: project(VERSION) in CMakeLists.txt. One object file holds
// it, so that programs of another version cost no more than a link (tests/versions).
extern const char* const kVersion;

}  // namespace heddle
