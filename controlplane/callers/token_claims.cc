#include "controlplane/callers/token_claims.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_split.h>

#include <nlohmann/json.hpp>

#include "lib/base/strings.h"

namespace heddle::controlplane::callers {
namespace {

using Json = nlohmann::json;

// Later than any clock here; absl::FromUnixSeconds takes all of int64.
constexpr double kMaxSeconds = 1e12;

}  // namespace

std::optional<TokenClaims> ReadClaims(std::string_view token) {
  if (token.size() > kMaxTokenBytes) return std::nullopt;
  const std::vector<absl::string_view> parts = absl::StrSplit(ToAbsl(token), '.');
  std::string payload;
  if (parts.size() != 3 || parts[2].empty() || !absl::WebSafeBase64Unescape(parts[1], &payload))
    return std::nullopt;
  const Json json = Json::parse(payload, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  TokenClaims claims;
  // One string or several (RFC 7519 section 4.1.3).
  const auto audience = json.find("aud");
  if (audience != json.end()) {
    const Json listed = audience->is_array() ? *audience : Json::array({*audience});
    for (const Json& one : listed) {
      if (one.is_string()) claims.audiences.push_back(one.get<std::string>());
    }
  }
  const auto expires = json.find("exp");
  if (expires != json.end() && expires->is_number()) {
    const auto seconds = expires->get<double>();
    if (seconds < kMaxSeconds) claims.expires = absl::UnixEpoch() + absl::Seconds(seconds);
  }
  return claims;
}

}  // namespace heddle::controlplane::callers
