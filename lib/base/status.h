#pragma once

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <absl/strings/str_cat.h>

namespace heddle {

// The same status with a sentence's context in front: Annotate(status, "pod ", uid) gives "pod 1234: <message>".
template <typename... Parts>
absl::Status Annotate(const absl::Status& status, const Parts&... parts) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat(parts..., ": ", status.message()));
}

}  // namespace heddle

// The TRY of absl::Status, for the edges: TRY_STATUS(Check(...)); TRY_ASSIGN(auto value, Parse(...)).
#define TRY_STATUS(...) \
  if (::absl::Status try_status = __VA_ARGS__; !try_status.ok()) return try_status
#define CO_TRY_STATUS(...) \
  if (::absl::Status try_status = __VA_ARGS__; !try_status.ok()) co_return try_status
#define HEDDLE_STATUS_CONCAT_(a, b) a##b
#define HEDDLE_STATUS_CONCAT(a, b) HEDDLE_STATUS_CONCAT_(a, b)
#define TRY_ASSIGN(lhs, ...) \
  HEDDLE_TRY_ASSIGN_(HEDDLE_STATUS_CONCAT(try_value_, __LINE__), return, lhs, __VA_ARGS__)
#define CO_TRY_ASSIGN(lhs, ...) \
  HEDDLE_TRY_ASSIGN_(HEDDLE_STATUS_CONCAT(try_value_, __LINE__), co_return, lhs, __VA_ARGS__)
#define HEDDLE_TRY_ASSIGN_(result, leave, lhs, ...)     \
  auto result = __VA_ARGS__;                            \
  if (!result.ok()) leave ::std::move(result).status(); \
  lhs = *::std::move(result)
