#include "lib/tls/certificate_builder.h"

#include <absl/strings/str_cat.h>
#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <array>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/tls/general_name.h"
#include "lib/tls/key_type.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

const uint8_t* Bytes(const std::string& text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// A key identifier as RFC 7093 section 2 makes it: the first 160 bits of the SHA-256 of the key.
bssl::UniquePtr<ASN1_OCTET_STRING> KeyIdentifier(const std::string& spki) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest;
  SHA256(Bytes(spki), spki.size(), digest.data());
  bssl::UniquePtr<ASN1_OCTET_STRING> id(ASN1_OCTET_STRING_new());
  CHECK(id && ASN1_STRING_set(id.get(), digest.data(), 20));
  return id;
}

bool AddBasicConstraints(X509* x509, const CertificateTemplate& wanted) {
  bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = wanted.is_ca ? ASN1_BOOLEAN_TRUE : ASN1_BOOLEAN_FALSE;
  if (wanted.path_length) {
    constraints->pathlen = ASN1_INTEGER_new();
    CHECK(ASN1_INTEGER_set_int64(constraints->pathlen, *wanted.path_length));
  }
  return X509_add1_ext_i2d(x509, NID_basic_constraints, constraints.get(), /*crit=*/1,
                           X509V3_ADD_DEFAULT);
}

bool AddKeyUsages(X509* x509, const KeyUsages& usages) {
  if (usages.empty()) return true;
  bssl::UniquePtr<ASN1_BIT_STRING> bits(ASN1_BIT_STRING_new());
  // Bit numbers of RFC 5280 section 4.2.1.3.
  const std::pair<int, bool> kBits[] = {{0, usages.digital_signature},
                                        {4, usages.key_agreement},
                                        {5, usages.certificate_signing},
                                        {6, usages.crl_signing}};
  for (auto [bit, set] : kBits) {
    if (set) CHECK(ASN1_BIT_STRING_set_bit(bits.get(), bit, 1));
  }
  return X509_add1_ext_i2d(x509, NID_key_usage, bits.get(), /*crit=*/1, X509V3_ADD_DEFAULT);
}

bool AddExtendedKeyUsages(X509* x509, const ExtendedKeyUsages& usages) {
  if (usages.empty()) return true;
  bssl::UniquePtr<EXTENDED_KEY_USAGE> list(sk_ASN1_OBJECT_new_null());
  if (usages.server) CHECK(sk_ASN1_OBJECT_push(list.get(), OBJ_nid2obj(NID_server_auth)));
  if (usages.client) CHECK(sk_ASN1_OBJECT_push(list.get(), OBJ_nid2obj(NID_client_auth)));
  return X509_add1_ext_i2d(x509, NID_ext_key_usage, list.get(), /*crit=*/0, X509V3_ADD_DEFAULT);
}

bool AddKeyIdentifiers(X509* x509, const std::string& spki, const std::string& issuer_spki) {
  bssl::UniquePtr<AUTHORITY_KEYID> authority(AUTHORITY_KEYID_new());
  authority->keyid = KeyIdentifier(issuer_spki).release();
  return X509_add1_ext_i2d(x509, NID_subject_key_identifier, KeyIdentifier(spki).get(), 0,
                           X509V3_ADD_DEFAULT) &&
         X509_add1_ext_i2d(x509, NID_authority_key_identifier, authority.get(), 0,
                           X509V3_ADD_DEFAULT);
}

absl::Status AddNames(X509* x509, const std::vector<SubjectAltName>& names) {
  if (names.empty()) return absl::OkStatus();
  TRY_ASSIGN(bssl::UniquePtr<GENERAL_NAMES> list, MakeGeneralNames(names));
  if (X509_add1_ext_i2d(x509, NID_subject_alt_name, list.get(), /*crit=*/1, X509V3_ADD_DEFAULT))
    return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("cannot write the names: ", TakeLibraryError()));
}

absl::Status SetSerial(X509* x509, const std::string& serial) {
  if (serial.empty() || serial.size() > 20 || (serial[0] & 0x80) != 0) {
    return absl::InvalidArgumentError("a serial number is 1 to 20 bytes long and positive");
  }
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(Bytes(serial), serial.size(), nullptr));
  CHECK(number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)));
  return absl::OkStatus();
}

absl::Status SetNames(X509* x509, const CertificateTemplate& wanted, const Certificate* issuer) {
  X509_NAME* subject = X509_get_subject_name(x509);
  if (!wanted.common_name.empty() &&
      !X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, Bytes(wanted.common_name),
                                  static_cast<ossl_ssize_t>(wanted.common_name.size()), -1, 0)) {
    return absl::InvalidArgumentError(
        absl::StrCat("cannot use the common name: ", TakeLibraryError()));
  }
  if (issuer == nullptr) {
    CHECK(X509_set_issuer_name(x509, subject));
    return absl::OkStatus();
  }
  const uint8_t* der = Bytes(issuer->der());
  bssl::UniquePtr<X509> parent(d2i_X509(nullptr, &der, static_cast<long>(issuer->der().size())));
  CHECK(parent && X509_set_issuer_name(x509, X509_get_subject_name(parent.get())));
  return absl::OkStatus();
}

absl::Status SetValidity(X509* x509, const Validity& validity) {
  if (ASN1_TIME_set_posix(X509_getm_notBefore(x509), absl::ToUnixSeconds(validity.not_before)) &&
      ASN1_TIME_set_posix(X509_getm_notAfter(x509), absl::ToUnixSeconds(validity.not_after))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("cannot write the validity: ", TakeLibraryError()));
}

}  // namespace

absl::StatusOr<Certificate> BuildCertificate(const CertificateTemplate& wanted,
                                             const Certificate* issuer,
                                             const PrivateKey& issuer_key) {
  CBS spki(bssl::Span(Bytes(wanted.key.spki()), wanted.key.spki().size()));
  bssl::UniquePtr<EVP_PKEY> key(EVP_parse_public_key(&spki));
  if (key == nullptr)
    return absl::InvalidArgumentError(absl::StrCat("cannot use the key: ", TakeLibraryError()));

  bssl::UniquePtr<X509> x509(X509_new());
  CHECK(x509 && X509_set_version(x509.get(), X509_VERSION_3) &&
        X509_set_pubkey(x509.get(), key.get()));
  TRY_STATUS(SetSerial(x509.get(), wanted.serial));
  TRY_STATUS(SetNames(x509.get(), wanted, issuer));
  TRY_STATUS(SetValidity(x509.get(), wanted.validity));
  TRY_STATUS(AddNames(x509.get(), wanted.names));
  CHECK(AddBasicConstraints(x509.get(), wanted) && AddKeyUsages(x509.get(), wanted.key_usages) &&
        AddExtendedKeyUsages(x509.get(), wanted.extended_key_usages) &&
        AddKeyIdentifiers(x509.get(), wanted.key.spki(), issuer_key.public_key().spki()));
  if (!X509_sign(x509.get(), issuer_key.get(), EVP_sha256())) {
    return absl::InternalError(absl::StrCat("cannot sign: ", TakeLibraryError()));
  }
  return Certificate::FromX509(x509.get());
}

}  // namespace heddle::tls
