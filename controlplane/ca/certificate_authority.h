#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <optional>
#include <string>
#include <string_view>
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

// What an authority signs with, and whom those trust who get its certificates.
struct AuthorityKeys {
  tls::Issuer issuer;
  std::string roots_pem;  // All roots that are trusted.
  absl::Duration leaf_lifetime_max = kLeafLifetimeMax;
};

// What the parts of a pair are called where they come from, for sentences.
struct KeyNames {
  std::string_view certificate;
  std::string_view key;
};

// A root and its key from PEM; certificates behind the first are trusted as well. Refused: a key that
// is not the certificate's, a certificate that is none of an authority.
absl::StatusOr<AuthorityKeys> ParseAuthorityKeys(const std::string& certificate_pem,
                                                 const std::string& key_pem, const KeyNames& names);

// A new root of our own, ECDSA P-256.
absl::StatusOr<tls::Issuer> MakeRoot(absl::Time now);

// Our own certificate authority: a root key that its owner gives it, or one in a directory,
//
//   root-cert.pem   the root that signs; behind it other roots that are to be trusted as well, which
//                   is how a root is replaced with overlap
//   root-key.pem    its key, 0600
//
// Whoever can read the key can be anybody in the mesh. Without a key it signs nothing: UNAVAILABLE.
// One loop's.
class CertificateAuthority final : public Signer {
 public:
  // Without a key. `clock` outlives the authority.
  explicit CertificateAuthority(const Clock& clock) : clock_(clock) {}
  // Loads what is in the directory, or makes it on first start: ECDSA P-256, directory 0700, files
  // 0600. Half a pair, a key that is not the certificate's, a certificate that is none of an
  // authority or is not valid now, a key that others can read: each is refused with a sentence.
  // `clock` outlives the authority.
  static absl::StatusOr<CertificateAuthority> Open(const std::string& directory,
                                                   const Clock& clock);

  // From now on these sign.
  void Use(AuthorityKeys keys);
  bool has_keys() const { return keys_.has_value(); }
  // Counts Use(): what was issued under another number is by other keys.
  uint64_t generation() const { return generation_; }
  // No leaf is valid after this, from now on.
  void LimitLeaves(absl::Time not_after) { leaves_end_ = not_after; }

  // Subject, serial number, lifetime and the one SAN are ours. The lifetime ends with the root's at
  // the latest.
  Task<absl::StatusOr<std::vector<std::string>>> Sign(const SigningOrder& order,
                                                      StopToken stop) override;

  // A new key and certificate for a server that is known by DNS names.
  absl::StatusOr<tls::Credential> IssueServer(const std::vector<std::string>& dns_names) const;

  // These ask for keys that are there.
  const tls::Certificate& root() const { return keys_->issuer.root(); }
  // All roots that are trusted, PEM.
  const std::string& roots_pem() const { return keys_->roots_pem; }

 private:
  absl::StatusOr<tls::Validity> ValidityFor(absl::Duration lifetime) const;
  absl::StatusOr<std::vector<std::string>> SignNow(const SigningOrder& order) const;

  const Clock& clock_;
  std::optional<AuthorityKeys> keys_;
  uint64_t generation_ = 0;
  absl::Time leaves_end_ = absl::InfiniteFuture();
};

}  // namespace heddle::controlplane::ca
