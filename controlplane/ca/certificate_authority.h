#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <string>
#include <utility>
#include <vector>

#include "controlplane/ca/signer.h"
#include "lib/base/clock.h"
#include "lib/tls/context.h"
#include "lib/tls/issuer.h"

namespace heddle::controlplane::ca {

// The longest life of a leaf, and what is given when none is asked for. Istio's default, too.
inline constexpr absl::Duration kLeafLifetimeMax = absl::Hours(24);
// Leaves are valid from a little before they are made, for nodes whose clocks are behind.
inline constexpr absl::Duration kClockSkew = absl::Minutes(2);
inline constexpr absl::Duration kRootLifetime = absl::Hours(24 * 365 * 10);

// Our own certificate authority: a root key in a directory,
//
//   root-cert.pem   the root that signs; behind it other roots that are to be trusted as well, which
//                   is how a root is replaced with overlap
//   root-key.pem    its key, 0600
//
// Whoever can read the key can be anybody in the mesh. One loop's.
class CertificateAuthority final : public Signer {
 public:
  // Loads what is in the directory, or makes it on first start: ECDSA P-256, directory 0700, files
  // 0600. Half a pair, a key that is not the certificate's, a certificate that is none of an
  // authority or is not valid now, a key that others can read: each is refused with a sentence.
  // `clock` outlives the authority.
  static absl::StatusOr<CertificateAuthority> Open(const std::string& directory,
                                                   const Clock& clock);

  // Subject, serial number, lifetime and the one SAN are ours. The lifetime ends with the root's at
  // the latest.
  Task<absl::StatusOr<std::vector<std::string>>> Sign(const SigningOrder& order,
                                                      StopToken stop) override;

  // A new key and certificate for a server that is known by DNS names.
  absl::StatusOr<tls::Credential> IssueServer(const std::vector<std::string>& dns_names) const;

  const tls::Certificate& root() const { return issuer_.root(); }
  // All roots that are trusted, PEM.
  const std::string& roots_pem() const { return roots_pem_; }

 private:
  CertificateAuthority(tls::Issuer issuer, std::string roots_pem, const Clock& clock)
      : issuer_(std::move(issuer)), roots_pem_(std::move(roots_pem)), clock_(clock) {}

  absl::StatusOr<tls::Validity> ValidityFor(absl::Duration lifetime) const;
  absl::StatusOr<std::vector<std::string>> SignNow(const SigningOrder& order) const;

  tls::Issuer issuer_;
  std::string roots_pem_;
  const Clock& clock_;
};

}  // namespace heddle::controlplane::ca
