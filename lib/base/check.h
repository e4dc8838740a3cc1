#pragma once

#include <source_location>

namespace heddle::internal {

// Prints the failed condition with its place and aborts. Async-signal-safe.
[[noreturn]] void CheckFailed(const char* condition,
                              std::source_location where = std::source_location::current());

}  // namespace heddle::internal

// CHECK states an invariant of our own code; it is on in release builds. Never use it on bytes that came from outside.
#define CHECK(...)                                   \
  do {                                               \
    if (!(__VA_ARGS__)) [[unlikely]]                 \
      ::heddle::internal::CheckFailed(#__VA_ARGS__); \
  } while (false)
