#pragma once

#include <absl/status/status.h>
#include <openssl/base.h>

#include <string>

// What the files of this module share about BoringSSL's keys; not for other modules.
namespace heddle::tls {

// Whether we work with keys of this type and size: ECDSA P-256, P-384, or RSA of 2048 to 8192 bits.
absl::Status CheckKeyType(const EVP_PKEY* key);

// The key's DER-encoded SubjectPublicKeyInfo.
std::string SpkiOf(const EVP_PKEY* key);

// What was written to a memory BIO.
std::string TakeBio(BIO* bio);

}  // namespace heddle::tls
