#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/tls/certificate.h"
#include "lib/tls/private_key.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::tls {

// When a certificate is valid, both ends included. X.509 counts in seconds; fractions are cut off.
struct Validity {
  absl::Time not_before;
  absl::Time not_after;
};

// 16 random bytes with the top bit clear: positive, unguessable, and unique without a counter (RFC
// 5280 section 4.1.2.2).
std::string RandomSerial();

// Names of a server that is known by DNS names and not by identity.
struct DnsNames {
  std::vector<std::string> names;
};

struct LeafRequest {
  PublicKey key;
  std::variant<SpiffeId, DnsNames> name;
  Validity validity;
  std::string serial;  // Big-endian bytes, 1 to 20, top bit clear: see RandomSerial().
};

// A certificate authority's key with its certificate: signs leaves and intermediates. Has no
// policy: whoever calls has decided that the name may be certified. Immutable, thread-safe.
class Issuer {
 public:
  // A new self-signed root: basicConstraints CA:TRUE and keyUsage keyCertSign and cRLSign, both
  // critical.
  static absl::StatusOr<Issuer> CreateRoot(std::string_view common_name, Validity validity);
  // From a chain, this issuer's own certificate first and its root last, and the key that belongs
  // to the first.
  static absl::StatusOr<Issuer> Create(std::vector<Certificate> chain, PrivateKey key);

  // A new intermediate, signed by this issuer, that may sign leaves only (pathLenConstraint 0).
  absl::StatusOr<Issuer> CreateIntermediate(std::string_view common_name, Validity validity) const;

  // A leaf with an empty subject and one critical subjectAltName: a single URI, or DNS names.
  // CA:FALSE, keyUsage digitalSignature (critical), extendedKeyUsage serverAuth and clientAuth. A
  // validity that leaves this issuer's own is refused, as is an empty one.
  absl::StatusOr<Certificate> IssueLeaf(const LeafRequest& request) const;

  // What a holder of a leaf presents after it: this certificate and those above, without the root.
  std::span<const Certificate> intermediates() const { return {chain_.data(), chain_.size() - 1}; }
  // Own certificate first, root last.
  const std::vector<Certificate>& chain() const { return chain_; }
  const Certificate& certificate() const { return chain_.front(); }
  const Certificate& root() const { return chain_.back(); }
  const PrivateKey& key() const { return key_; }

 private:
  Issuer(std::vector<Certificate> chain, PrivateKey key)
      : chain_(std::move(chain)), key_(std::move(key)) {}
  std::vector<Certificate> chain_;
  PrivateKey key_;
};

}  // namespace heddle::tls
