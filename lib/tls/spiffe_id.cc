#include "lib/tls/spiffe_id.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>

#include <algorithm>
#include <array>

#include "lib/base/strings.h"

namespace heddle::tls {
namespace {

constexpr std::string_view kScheme = "spiffe://";
constexpr std::string_view kNamespaceSegment = "ns";
constexpr std::string_view kServiceAccountSegment = "sa";

bool IsLowerOrDigit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool IsPunctuation(char c) { return c == '-' || c == '.' || c == '_'; }

bool IsPathSegment(std::string_view text) {
  if (text.empty() || text.size() > kMaxSpiffePartBytes || text == "." || text == "..")
    return false;
  return std::ranges::all_of(
      text, [](char c) { return IsLowerOrDigit(c) || (c >= 'A' && c <= 'Z') || IsPunctuation(c); });
}

// Quoted for a sentence: a peer chose these bytes.
std::string Quote(std::string_view text) {
  const bool cut = text.size() > 200;
  return absl::StrCat("\"", absl::CHexEscape(ToAbsl(text.substr(0, 200))), cut ? "..." : "", "\"");
}

absl::Status NotSpiffe(std::string_view uri, std::string_view why) {
  return absl::InvalidArgumentError(absl::StrCat(
      Quote(uri),
      " is not of the form spiffe://<trust domain>/ns/<namespace>/sa/<service account>: ",
      ToAbsl(why)));
}

}  // namespace

bool IsTrustDomain(std::string_view text) {
  if (text.empty() || text.size() > kMaxSpiffePartBytes) return false;
  return std::ranges::all_of(text, [](char c) { return IsLowerOrDigit(c) || IsPunctuation(c); });
}

absl::StatusOr<SpiffeId> SpiffeId::Parse(std::string_view uri) {
  if (uri.size() > kMaxSpiffeIdBytes) return NotSpiffe(uri, "it is too long");
  if (!uri.starts_with(kScheme)) return NotSpiffe(uri, "it does not begin with spiffe://");

  std::array<std::string_view, 5> parts;  // Trust domain, "ns", namespace, "sa", service account.
  std::string_view rest = uri.substr(kScheme.size());
  for (size_t i = 0; i + 1 < parts.size(); ++i) {
    const size_t slash = rest.find('/');
    if (slash == std::string_view::npos) return NotSpiffe(uri, "it has too few segments");
    parts[i] = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
  }
  parts.back() = rest;
  if (rest.find('/') != std::string_view::npos) return NotSpiffe(uri, "it has too many segments");
  if (parts[1] != kNamespaceSegment || parts[3] != kServiceAccountSegment) {
    return NotSpiffe(uri, "its segments are not called ns and sa");
  }
  return Create(parts[0], parts[2], parts[4]);
}

absl::StatusOr<SpiffeId> SpiffeId::Create(std::string_view trust_domain,
                                          std::string_view name_space,
                                          std::string_view service_account) {
  if (!IsTrustDomain(trust_domain)) {
    return absl::InvalidArgumentError(absl::StrCat(
        Quote(trust_domain), " is not a trust domain: 1 to 253 of a-z, 0-9, '.', '-', '_'"));
  }
  for (std::string_view part : {name_space, service_account}) {
    if (IsPathSegment(part)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat(Quote(part),
                     " cannot be a namespace or service account in a SPIFFE ID: 1 to 253 letters, "
                     "digits, '.', '-', '_'"));
  }
  std::string uri = absl::StrCat(ToAbsl(kScheme), ToAbsl(trust_domain), "/ns/", ToAbsl(name_space),
                                 "/sa/", ToAbsl(service_account));
  const size_t trust_domain_end = kScheme.size() + trust_domain.size();
  return SpiffeId(std::move(uri), trust_domain_end, trust_domain_end + 4 + name_space.size());
}

std::string_view SpiffeId::trust_domain() const {
  return std::string_view(uri_).substr(kScheme.size(), trust_domain_end_ - kScheme.size());
}

std::string_view SpiffeId::name_space() const {
  const size_t begin = trust_domain_end_ + 4;  // Behind "/ns/".
  return std::string_view(uri_).substr(begin, name_space_end_ - begin);
}

std::string_view SpiffeId::service_account() const {
  return std::string_view(uri_).substr(name_space_end_ + 4);  // Behind "/sa/".
}

}  // namespace heddle::tls
