#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace heddle::controlplane::callers {

// Longest token that is looked at. Those of service accounts have one to two KiB.
inline constexpr size_t kMaxTokenBytes = size_t{16} * 1024;

// What a JSON web token (RFC 7519) says of itself. Nothing of it has been verified, so it can be a
// reason to refuse and never one to admit.
struct TokenClaims {
  std::vector<std::string> audiences;
  absl::Time expires = absl::InfiniteFuture();
};

// Nothing when the text is no signed token in compact form (RFC 7515 section 7.1), or has no claims.
std::optional<TokenClaims> ReadClaims(std::string_view token);

}  // namespace heddle::controlplane::callers
