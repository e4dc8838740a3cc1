#pragma once

#include <absl/status/status.h>
#include <absl/time/time.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/ca/certificate_authority.h"
#include "lib/base/clock.h"
#include "lib/tls/context.h"

namespace heddle::controlplane {

// The controller's own TLS: a certificate for its DNS names, renewed by the first connection after
// half of its life, or after the authority got other keys. The key never leaves memory. One loop's.
class ServerCertificate {
 public:
  // All outlive this.
  ServerCertificate(const ca::CertificateAuthority& authority, std::vector<std::string> dns_names,
                    const Clock& clock)
      : authority_(authority), dns_names_(std::move(dns_names)), clock_(clock) {}

  // For a new connection. When a renewal fails the old one is used as long as it is valid.
  absl::StatusOr<std::shared_ptr<const tls::TlsContext>> Context();

 private:
  absl::Status Renew();

  const ca::CertificateAuthority& authority_;
  const std::vector<std::string> dns_names_;
  const Clock& clock_;
  std::shared_ptr<const tls::TlsContext> context_;
  absl::Time renew_at_ = absl::InfinitePast();
  absl::Time not_after_ = absl::InfinitePast();
  uint64_t generation_ = 0;  // Of the authority's keys.
};

}  // namespace heddle::controlplane
