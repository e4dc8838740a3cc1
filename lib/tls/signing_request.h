#pragma once

#include <absl/status/statusor.h>

#include <cstddef>
#include <string>
#include <string_view>

#include "lib/tls/private_key.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::tls {

// Longest request that is read. One for a P-256 key has about 500 bytes, one for an RSA key of 8192
// bits 3 KiB.
inline constexpr size_t kMaxSigningRequestBytes = size_t{16} * 1024;

// A PKCS#10 request (RFC 2986) in PEM: empty subject, one extension, a critical subjectAltName with
// the identity as its only URI; signed with ECDSA and SHA-256.
std::string CreateSigningRequest(const PrivateKey& key, const SpiffeId& identity);

// The key that a request asks to have certified, after a check that the requester possesses it (the
// request's own signature) and that its type is accepted: ECDSA P-256, P-384, or RSA of 2048 to
// 8192 bits. All else in a request is a wish, which a certificate authority does not read.
absl::StatusOr<PublicKey> KeyOfSigningRequest(std::string_view pem);

}  // namespace heddle::tls
