#pragma once

#include <expected>
#include <utility>

namespace heddle {

// The value of an operation that can fail, or why it failed. Each altitude has its own error (docs/architecture.md):
// io::Error in lib/, proxy::Failure in the proxy, absl::Status at the edges.
template <typename T, typename E>
using Result = std::expected<T, E>;

template <typename E>
using Unexpected = std::unexpected<E>;

}  // namespace heddle

#define HEDDLE_CONCAT_(a, b) a##b
#define HEDDLE_CONCAT(a, b) HEDDLE_CONCAT_(a, b)

// TRY(auto value, Parse(text)): returns the error to the caller, or goes on with the value. For functions returning a
// Result with the same error type.
#define TRY(lhs, ...) HEDDLE_TRY_(HEDDLE_CONCAT(try_result_, __LINE__), return, lhs, __VA_ARGS__)

// CO_TRY(auto value, co_await Read(...)): the same inside a coroutine.
#define CO_TRY(lhs, ...) \
  HEDDLE_TRY_(HEDDLE_CONCAT(try_result_, __LINE__), co_return, lhs, __VA_ARGS__)

#define HEDDLE_TRY_(result, leave, lhs, ...)                         \
  auto result = __VA_ARGS__;                                         \
  if (!result) leave ::std::unexpected(::std::move(result).error()); \
  lhs = *::std::move(result)

// The same for operations without a value: TRY_VOID(Check(...)), CO_TRY_VOID(co_await Write(...)).
#define TRY_VOID(...)                             \
  if (auto try_result = __VA_ARGS__; !try_result) \
  return ::std::unexpected(::std::move(try_result).error())
#define CO_TRY_VOID(...)                          \
  if (auto try_result = __VA_ARGS__; !try_result) \
  co_return ::std::unexpected(::std::move(try_result).error())
