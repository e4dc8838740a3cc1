#include "lib/kube/bearer_token.h"

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include <algorithm>

#include "lib/base/status.h"

namespace heddle::kube {
namespace {

// A JSON web token has one to two KiB.
constexpr size_t kMaxTokenBytes = size_t{32} * 1024;

}  // namespace

absl::StatusOr<std::string> BearerToken::Get(MonotonicTime now) {
  if (material_.empty()) return std::string();
  if (read_at_.has_value() && now - *read_at_ < kTokenAge) return token_;
  absl::StatusOr<std::string> token = Read();
  if (!token.ok() && token_.empty()) return token.status();
  if (token.ok()) token_ = *std::move(token);
  read_at_ = now;
  return token_;
}

absl::StatusOr<std::string> BearerToken::Read() const {
  TRY_ASSIGN(std::string token, Load(material_, "the token"));
  absl::StripAsciiWhitespace(&token);
  // It becomes a header's value.
  const bool printable = std::ranges::all_of(token, [](char c) { return c > ' ' && c <= '~'; });
  if (!token.empty() && token.size() <= kMaxTokenBytes && printable) return token;
  return absl::InvalidArgumentError(absl::StrCat(
      "the token", material_.file.empty() ? "" : " in ", material_.file,
      token.empty() ? " is empty" : " is longer than 32 KiB or has characters that no token has"));
}

}  // namespace heddle::kube
