#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>

struct evp_pkey_st;  // BoringSSL's key; its functions stay inside this module.

namespace heddle::tls {

// A public key, by its DER-encoded SubjectPublicKeyInfo (RFC 5280 section 4.1). A value.
class PublicKey {
 public:
  explicit PublicKey(std::string spki) : spki_(std::move(spki)) {}
  const std::string& spki() const { return spki_; }
  bool operator==(const PublicKey&) const = default;

 private:
  std::string spki_;
};

// A private key: ECDSA P-256 when generated here; P-256, P-384 or RSA (2048 to 8192 bits) when
// parsed. Copies share the key. Never printed or logged; ToPem is the one way out. Thread-safe.
class PrivateKey {
 public:
  // A fresh ECDSA P-256 key.
  static PrivateKey Generate();
  // Reads the first private key in `pem` (PKCS#8, SEC 1 or PKCS#1, not encrypted). Errors never
  // quote the input.
  static absl::StatusOr<PrivateKey> FromPem(std::string_view pem);

  // PKCS#8.
  std::string ToPem() const;
  PublicKey public_key() const;

  evp_pkey_st* get() const { return key_.get(); }

 private:
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}
  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace heddle::tls
