#include "lib/tls/private_key.h"

#include <openssl/bio.h>
#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>

#include "lib/base/check.h"
#include "lib/tls/key_type.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

constexpr size_t kMaxKeyPemBytes = size_t{64} * 1024;

// Never asks: a key with a password is refused instead of waiting at a terminal.
int NoPassword(char*, int, int, void*) { return -1; }

}  // namespace

absl::Status CheckKeyType(const EVP_PKEY* key) {
  switch (EVP_PKEY_id(key)) {
    case EVP_PKEY_EC: {
      const EC_KEY* ec = EVP_PKEY_get0_EC_KEY(key);
      const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
      if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1) return absl::OkStatus();
      return absl::InvalidArgumentError("the key's elliptic curve is not P-256 or P-384");
    }
    case EVP_PKEY_RSA:
      if (EVP_PKEY_bits(key) >= 2048 && EVP_PKEY_bits(key) <= 8192) return absl::OkStatus();
      return absl::InvalidArgumentError("the RSA key does not have 2048 to 8192 bits");
    default: return absl::InvalidArgumentError("the key is neither ECDSA nor RSA");
  }
}

std::string SpkiOf(const EVP_PKEY* key) {
  bssl::ScopedCBB cbb;
  uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(CBB_init(cbb.get(), 128) && EVP_marshal_public_key(cbb.get(), key) &&
        CBB_finish(cbb.get(), &data, &size));
  bssl::UniquePtr<uint8_t> owned(data);
  return std::string(reinterpret_cast<const char*>(data), size);
}

std::string TakeBio(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio, &data, &size));
  return std::string(reinterpret_cast<const char*>(data), size);
}

PrivateKey PrivateKey::Generate() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  CHECK(ec && key && EC_KEY_generate_key(ec.get()) && EVP_PKEY_set1_EC_KEY(key.get(), ec.get()));
  return PrivateKey(std::shared_ptr<EVP_PKEY>(key.release(), EVP_PKEY_free));
}

absl::StatusOr<PrivateKey> PrivateKey::FromPem(std::string_view pem) {
  if (pem.size() > kMaxKeyPemBytes)
    return absl::InvalidArgumentError("the private key file is too long");
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  CHECK(bio != nullptr);
  std::shared_ptr<EVP_PKEY> key(PEM_read_bio_PrivateKey(bio.get(), nullptr, NoPassword, nullptr),
                                EVP_PKEY_free);
  if (key == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("no readable private key in the PEM text: ", TakeLibraryError()));
  }
  if (absl::Status status = CheckKeyType(key.get()); !status.ok()) return status;
  return PrivateKey(std::move(key));
}

std::string PrivateKey::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(bio && PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                             nullptr));
  return TakeBio(bio.get());
}

PublicKey PrivateKey::public_key() const { return PublicKey(SpkiOf(key_.get())); }

}  // namespace heddle::tls
