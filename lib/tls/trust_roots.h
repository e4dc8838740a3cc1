#pragma once

#include <absl/status/statusor.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "lib/tls/certificate.h"

struct x509_store_st;

namespace heddle::tls {

// The certificates that chains must end in. Each is an anchor whether self-signed or not.
// Immutable, thread-safe; shared by the contexts that trust them.
class TrustRoots {
 public:
  // At least one certificate.
  static absl::StatusOr<std::shared_ptr<const TrustRoots>> FromPem(std::string_view pem);
  static absl::StatusOr<std::shared_ptr<const TrustRoots>> Create(std::vector<Certificate> roots);

  const std::vector<Certificate>& certificates() const { return certificates_; }
  x509_store_st* store() const { return store_.get(); }
  // SHA-256 over all of them, in order: equal for equal roots, and for no others.
  const std::string& digest() const { return digest_; }

 private:
  TrustRoots(std::vector<Certificate> certificates, std::shared_ptr<x509_store_st> store);
  std::vector<Certificate> certificates_;
  std::shared_ptr<x509_store_st> store_;
  std::string digest_;
};

}  // namespace heddle::tls
