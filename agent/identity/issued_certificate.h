#pragma once

#include <absl/status/statusor.h>

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

// Checks that the answer is usable for `identity` now (its first certificate names exactly this
// identity, belongs to the key and is valid) and makes the TLS context that the proxy uses, which
// exchanges keys by one of `groups`. Every refusal says what is wrong with the answer.
absl::StatusOr<IdentityCertificate> MakeIdentityCertificate(const tls::SpiffeId& identity,
                                                            const IssuedCertificate& issued,
                                                            const std::vector<tls::Group>& groups,
                                                            const Clock& clock);

// When a certificate is to be replaced: at half its life.
absl::Time RenewalTime(const IdentityCertificate& certificate);

// A text form for the run directory, which is on tmpfs: keys never reach a disk.
std::string EncodeIssuedCertificate(const IssuedCertificate& issued);
absl::StatusOr<IssuedCertificate> DecodeIssuedCertificate(std::string_view text);

}  // namespace heddle::agent
