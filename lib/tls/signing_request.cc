#include "lib/tls/signing_request.h"

#include <absl/strings/str_cat.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/tls/general_name.h"
#include "lib/tls/key_type.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {

std::string CreateSigningRequest(const PrivateKey& key, const SpiffeId& identity) {
  const SubjectAltName name = {SubjectAltName::Type::kUri, identity.ToString()};
  auto names = MakeGeneralNames({&name, 1});
  CHECK(names.ok());
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509V3_EXT_i2d(NID_subject_alt_name, /*crit=*/1, names->get()));
  bssl::UniquePtr<STACK_OF(X509_EXTENSION)> extensions(sk_X509_EXTENSION_new_null());
  CHECK(extension && extensions && sk_X509_EXTENSION_push(extensions.get(), extension.release()));
  bssl::UniquePtr<X509_REQ> request(X509_REQ_new());
  CHECK(request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) &&
        X509_REQ_set_pubkey(request.get(), key.get()) &&
        X509_REQ_add_extensions(request.get(), extensions.get()) &&
        X509_REQ_sign(request.get(), key.get(), EVP_sha256()));
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(bio && PEM_write_bio_X509_REQ(bio.get(), request.get()));
  return TakeBio(bio.get());
}

absl::StatusOr<PublicKey> KeyOfSigningRequest(std::string_view pem) {
  if (pem.size() > kMaxSigningRequestBytes) {
    return absl::InvalidArgumentError("the certificate signing request is longer than 16 KiB");
  }
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  CHECK(bio != nullptr);
  bssl::UniquePtr<X509_REQ> request(PEM_read_bio_X509_REQ(bio.get(), nullptr, nullptr, nullptr));
  if (request == nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "no readable certificate signing request in the PEM text: ", TakeLibraryError()));
  }
  bssl::UniquePtr<EVP_PKEY> key(X509_REQ_get_pubkey(request.get()));
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("the request's key cannot be read: ", TakeLibraryError()));
  }
  TRY_STATUS(CheckKeyType(key.get()));
  if (X509_REQ_verify(request.get(), key.get()) != 1) {
    TakeLibraryError();
    return absl::InvalidArgumentError(
        "the request is not signed with its own key, so its sender need not possess that key");
  }
  return PublicKey(SpkiOf(key.get()));
}

}  // namespace heddle::tls
