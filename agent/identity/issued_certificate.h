#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <vector>

#include "agent/seams/certificates.h"
#include "lib/base/clock.h"
#include "lib/tls/context.h"
#include "lib/tls/private_key.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::agent {

// What the certificate authority answered, with the key it is for, as PEM: leaf, intermediates, and
// as the last element the bundle of roots (Istio's CreateCertificate).
struct IssuedCertificate {
  std::string key;
  std::vector<std::string> chain;

  bool operator==(const IssuedCertificate&) const = default;
};

// What the TLS contexts of all identities have in common.
struct TunnelTls {
  std::vector<tls::Group> groups = {tls::Group::kX25519};  // Key exchange, preferred first.
  std::shared_ptr<tls::VerifiedChains> verified_chains;    // Of peers; none: each is verified anew.
};

// Checks that the answer is usable for `identity` now (its first certificate names exactly this
// identity, belongs to the key and is valid) and makes the TLS context that the proxy uses, in the
// way of `tls`. Every refusal says what is wrong with the answer.
absl::StatusOr<IdentityCertificate> MakeIdentityCertificate(const tls::SpiffeId& identity,
                                                            const IssuedCertificate& issued,
                                                            const TunnelTls& tls,
                                                            const Clock& clock);

// When a certificate is to be replaced: at half its life.
absl::Time RenewalTime(const IdentityCertificate& certificate);

// A text form for the run directory, which is on tmpfs: keys never reach a disk.
std::string EncodeIssuedCertificate(const IssuedCertificate& issued);
absl::StatusOr<IssuedCertificate> DecodeIssuedCertificate(std::string_view text);

}  // namespace heddle::agent
