#pragma once

#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "lib/base/result.h"
#include "lib/io/address.h"
#include "lib/tls/spiffe_id.h"
#include "lib/tls/trust_roots.h"

namespace heddle::tls {

// Most certificates that a peer may present: a leaf and its intermediates, with room for a needless
// root.
inline constexpr size_t kMaxPeerCertificates = 8;

// Whom we accept at the other end. The chain to a root, the validity times and the usages are
// checked for each but the first.
struct NoCertificate {  // For a server only: clients are not asked for a certificate.
  bool operator==(const NoCertificate&) const = default;
};
struct AnyInTrustDomain {  // A SPIFFE ID with exactly this trust domain.
  std::string trust_domain;
  bool operator==(const AnyInTrustDomain&) const = default;
};
struct OneOfIdentities {  // A SPIFFE ID equal to one of these. An empty list accepts nobody.
  std::vector<SpiffeId> identities;
  bool operator==(const OneOfIdentities&) const = default;
};
struct
    HasDnsName {  // A DNS name that matches one of these (RFC 6125 section 6.4). An empty list accepts nobody.
  std::vector<std::string> names;
  bool operator==(const HasDnsName&) const = default;
};
struct HasIpAddress {  // Exactly this address among its IP names (RFC 2818 section 3.1).
  io::IpAddress address;
  bool operator==(const HasIpAddress&) const = default;
};
using PeerRule =
    std::variant<NoCertificate, AnyInTrustDomain, OneOfIdentities, HasDnsName, HasIpAddress>;

// Who the peer is, after verification.
struct VerifiedPeer {
  std::optional<SpiffeId> identity;  // With AnyInTrustDomain and OneOfIdentities.
  std::string serial;                // Of the leaf, hexadecimal; empty with NoCertificate.
  absl::Time not_after = absl::InfiniteFuture();  // When the leaf expires.
};

// What a chain that was verified says by itself, whoever is expected.
struct VerifiedChain {
  SpiffeId identity;
  std::string serial;    // Of the leaf, as is the identity.
  absl::Time not_after;  // When the leaf expires.
  // The chain, its root included, verifies from the first of these moments until before the second.
  absl::Time valid_from = absl::InfinitePast();
  absl::Time valid_until = absl::InfiniteFuture();
};

// Why a chain was refused, in the classes that TLS alerts know (RFC 8446 section 6.2), and as a
// sentence.
struct Refusal {
  enum class Kind : uint8_t {
    kBadCertificate,
    kUnknownAuthority,
    kExpired,
    kWrongUsage,
    kWrongIdentity
  };
  Kind kind = Kind::kBadCertificate;
  std::string sentence;
};

// What the peer is going to do with its certificate.
enum class PeerRole : uint8_t { kClient, kServer };

// Verifies a chain of DER certificates, leaf first, against roots and rule at the time `now`:
// signatures, validity times, CA flags, path lengths and name constraints of the chain; the leaf is
// not a CA, and its keyUsage and extendedKeyUsage, when present, allow the role; then its names.
// Every refusal has its own sentence. A pure function; thread-safe. SPIFFE: X509-SVID sections 2 to
// 5, so exactly one URI name.
Result<VerifiedPeer, Refusal> VerifyPeer(const TrustRoots& roots, const PeerRule& rule,
                                         PeerRole peer_role,
                                         std::span<const std::string_view> chain, absl::Time now);

// The two halves of it for a SPIFFE ID: what belongs to the chain alone,
Result<VerifiedChain, Refusal> VerifySpiffeChain(const TrustRoots& roots, PeerRole peer_role,
                                                 std::span<const std::string_view> chain,
                                                 absl::Time now);
// and whether that is who is expected. `rule` is AnyInTrustDomain or OneOfIdentities.
Result<VerifiedPeer, Refusal> AdmitIdentity(const VerifiedChain& chain, const PeerRule& rule);

}  // namespace heddle::tls
