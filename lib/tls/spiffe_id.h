#pragma once

#include <absl/status/statusor.h>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "lib/base/shared_string.h"

namespace heddle::tls {

// Longest URI that Parse reads: what the SPIFFE-ID standard (section 2.3) requires implementations
// to support.
inline constexpr size_t kMaxSpiffeIdBytes = 2048;
// Longest trust domain, which is a host name, and longest namespace and service account, which are
// RFC 1123 subdomains.
inline constexpr size_t kMaxSpiffePartBytes = 253;

// An identity of the form
//
//     spiffe://<trust domain>/ns/<namespace>/sa/<service account>
//
// and of no other: scheme and literals in lower case, exactly five segments, no query, fragment,
// port, user or percent escape. The trust domain is of [a-z0-9._-], the other parts are of
// [a-zA-Z0-9._-] and are not "." or ".." (SPIFFE-ID sections 2.1 and 2.2). Because there is one
// spelling, two identities are equal exactly when their bytes are.
//
// A value: copies, which share the text, compares, hashes, prints. There is no empty or invalid one.
class SpiffeId {
 public:
  // Errors are sentences that quote the URI with unprintable bytes escaped.
  static absl::StatusOr<SpiffeId> Parse(std::string_view uri);
  static absl::StatusOr<SpiffeId> Create(std::string_view trust_domain, std::string_view name_space,
                                         std::string_view service_account);

  // Views live as long as this object.
  std::string_view trust_domain() const;
  std::string_view name_space() const;
  std::string_view service_account() const;
  const std::string& ToString() const { return uri_.ToString(); }
  // How many share its text.
  size_t holders() const { return uri_.holders(); }

  friend bool operator==(const SpiffeId& a, const SpiffeId& b) { return a.uri_ == b.uri_; }
  friend auto operator<=>(const SpiffeId& a, const SpiffeId& b) { return a.uri_ <=> b.uri_; }
  template <typename H>
  friend H AbslHashValue(H state, const SpiffeId& id) {
    return H::combine(std::move(state), id.uri_);
  }

 private:
  SpiffeId(std::string uri, size_t trust_domain_end, size_t name_space_end)
      : uri_(std::move(uri)),
        trust_domain_end_(static_cast<uint16_t>(trust_domain_end)),
        name_space_end_(static_cast<uint16_t>(name_space_end)) {}

  SharedString uri_;
  uint16_t trust_domain_end_;
  uint16_t name_space_end_;
};

// True for a string that can be the trust domain of a SpiffeId.
bool IsTrustDomain(std::string_view text);

}  // namespace heddle::tls
