#include "lib/tls/trust_roots.h"

#include <openssl/mem.h>
#include <openssl/x509.h>

#include <utility>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/tls/digest.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {

TrustRoots::TrustRoots(std::vector<Certificate> certificates, std::shared_ptr<x509_store_st> store)
    : certificates_(std::move(certificates)), store_(std::move(store)) {
  std::string digests;
  for (const Certificate& root : certificates_) digests += Sha256(root.der());
  digest_ = Sha256(digests);
}

absl::StatusOr<std::shared_ptr<const TrustRoots>> TrustRoots::FromPem(std::string_view pem) {
  TRY_ASSIGN(std::vector<Certificate> roots, ParseCertificatesPem(pem));
  return Create(std::move(roots));
}

absl::StatusOr<std::shared_ptr<const TrustRoots>> TrustRoots::Create(
    std::vector<Certificate> roots) {
  if (roots.empty()) return absl::InvalidArgumentError("no root certificate to trust");
  std::shared_ptr<X509_STORE> store(X509_STORE_new(), X509_STORE_free);
  CHECK(store != nullptr);
  for (const Certificate& root : roots) {
    const auto* der = reinterpret_cast<const uint8_t*>(root.der().data());
    bssl::UniquePtr<X509> x509(d2i_X509(nullptr, &der, static_cast<long>(root.der().size())));
    CHECK(x509 && X509_STORE_add_cert(store.get(), x509.get()));
  }
  return std::shared_ptr<const TrustRoots>(new TrustRoots(std::move(roots), std::move(store)));
}

}  // namespace heddle::tls
