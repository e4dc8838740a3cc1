#include "lib/tls/certificate.h"

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/x509.h>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/tls/digest.h"
#include "lib/tls/key_type.h"
#include "lib/tls/library_error.h"

namespace heddle::tls {
namespace {

constexpr size_t kMaxSerialBytes = 20;  // RFC 5280 section 4.1.2.2.
constexpr char kPemCertificate[] = "CERTIFICATE";

absl::Status Bad(std::string_view what) {
  return absl::InvalidArgumentError(absl::StrCat("not a usable certificate: ", ToAbsl(what)));
}

std::string NameText(const X509_NAME* name) {
  if (X509_NAME_entry_count(name) == 0) return "";
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  // Escapes control and non-ASCII bytes; a separator in a value is quoted.
  CHECK(bio != nullptr);
  if (X509_NAME_print_ex(bio.get(), name, 0,
                         XN_FLAG_ONELINE & ~XN_FLAG_SPC_EQ & ~ASN1_STRFLGS_ESC_MSB) < 0) {
    ERR_clear_error();
    return "(unprintable name)";
  }
  return absl::CHexEscape(ToAbsl(TakeBio(bio.get())));
}

std::string StringOf(const ASN1_STRING* string) {
  return std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(string)),
                     static_cast<size_t>(ASN1_STRING_length(string)));
}

// An address as text; anything that is not four or sixteen bytes long as hexadecimal, so that it
// can match nothing.
std::string AddressText(const std::string& bytes) {
  char text[INET6_ADDRSTRLEN];
  const int family = bytes.size() == 4 ? AF_INET : AF_INET6;
  if (bytes.size() != 4 && bytes.size() != 16)
    return absl::StrCat("0x", absl::BytesToHexString(bytes));
  CHECK(inet_ntop(family, bytes.data(), text, sizeof(text)) != nullptr);
  return text;
}

SubjectAltName AltName(const GENERAL_NAME* name) {
  using Type = SubjectAltName::Type;
  switch (name->type) {
    case GEN_DNS: return {Type::kDns, StringOf(name->d.dNSName)};
    case GEN_URI: return {Type::kUri, StringOf(name->d.uniformResourceIdentifier)};
    case GEN_EMAIL: return {Type::kEmail, StringOf(name->d.rfc822Name)};
    case GEN_IPADD: return {Type::kIp, AddressText(StringOf(name->d.iPAddress))};
    default: return {Type::kOther, ""};
  }
}

absl::StatusOr<std::vector<SubjectAltName>> AltNames(const X509* x509) {
  int critical = 0;
  bssl::UniquePtr<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(x509, NID_subject_alt_name, &critical, nullptr)));
  std::vector<SubjectAltName> out;
  if (names == nullptr) {
    if (critical == -1) return out;  // No such extension.
    ERR_clear_error();
    return Bad(critical == -2 ? "two subjectAltName extensions"
                              : "its subjectAltName extension is malformed");
  }
  const size_t count = sk_GENERAL_NAME_num(names.get());
  if (count > kMaxSubjectAltNames) return Bad("it has more than 256 names");
  out.reserve(count);
  for (size_t i = 0; i < count; ++i) out.push_back(AltName(sk_GENERAL_NAME_value(names.get(), i)));
  return out;
}

absl::StatusOr<absl::Time> TimeOf(const ASN1_TIME* time) {
  int64_t seconds = 0;
  if (!ASN1_TIME_to_posix(time, &seconds)) {
    ERR_clear_error();
    return Bad("its validity is not a time");
  }
  return absl::FromUnixSeconds(seconds);
}

std::string DerOf(const X509* x509) {
  uint8_t* der = nullptr;
  const int size = i2d_X509(x509, &der);
  CHECK(size > 0);
  bssl::UniquePtr<uint8_t> owned(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

}  // namespace

std::string SubjectAltName::ToString() const {
  static constexpr const char* kNames[] = {"DNS", "URI", "IP", "email", "other"};
  return absl::StrCat(kNames[static_cast<size_t>(type)], ":", absl::CHexEscape(value));
}

absl::StatusOr<Certificate> Certificate::FromDer(std::string_view der) {
  if (der.size() > kMaxCertificateBytes) return Bad("it is longer than 64 KiB");
  bssl::UniquePtr<CRYPTO_BUFFER> buffer(
      CRYPTO_BUFFER_new(reinterpret_cast<const uint8_t*>(der.data()), der.size(), nullptr));
  CHECK(buffer != nullptr);
  bssl::UniquePtr<X509> x509(X509_parse_from_buffer(buffer.get()));
  if (x509 == nullptr) return Bad(TakeLibraryError());
  return FromX509(x509.get());
}

absl::StatusOr<Certificate> Certificate::FromX509(const X509* x509) {
  auto fields = std::make_shared<Fields>();
  fields->der = DerOf(x509);
  fields->subject = NameText(X509_get_subject_name(x509));
  fields->issuer = NameText(X509_get_issuer_name(x509));
  const std::string serial = StringOf(X509_get0_serialNumber(x509));
  if (serial.size() > kMaxSerialBytes) return Bad("its serial number is longer than 20 bytes");
  fields->serial = absl::BytesToHexString(serial);
  const EVP_PKEY* key = X509_get0_pubkey(x509);
  if (key == nullptr) {
    ERR_clear_error();
    return Bad("its key is of a type that is not known here");
  }
  fields->spki = SpkiOf(key);
  TRY_ASSIGN(fields->not_before, TimeOf(X509_get0_notBefore(x509)));
  TRY_ASSIGN(fields->not_after, TimeOf(X509_get0_notAfter(x509)));
  TRY_ASSIGN(fields->subject_alt_names, AltNames(x509));
  fields->is_ca = (X509_get_extension_flags(const_cast<X509*>(x509)) & EXFLAG_CA) != 0;
  ERR_clear_error();
  return Certificate(std::move(fields));
}

std::string Certificate::ToPem() const {
  bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(bio && PEM_write_bio(bio.get(), kPemCertificate, "",
                             reinterpret_cast<const uint8_t*>(der().data()),
                             static_cast<long>(der().size())));
  return TakeBio(bio.get());
}

std::string Certificate::Fingerprint() const {
  return absl::BytesToHexString(Sha256(der()));
}

absl::StatusOr<std::vector<Certificate>> ParseCertificatesPem(std::string_view pem) {
  if (pem.size() > kMaxPemBytes)
    return absl::InvalidArgumentError("the PEM text is longer than 1 MiB");
  bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<ossl_ssize_t>(pem.size())));
  CHECK(bio != nullptr);
  std::vector<Certificate> out;
  for (;;) {
    char *name = nullptr, *header = nullptr;
    uint8_t* data = nullptr;
    long size = 0;
    if (!PEM_read_bio(bio.get(), &name, &header, &data, &size)) break;
    bssl::UniquePtr<char> owned_name(name), owned_header(header);
    bssl::UniquePtr<uint8_t> owned_data(data);
    if (std::string_view(name) != kPemCertificate) continue;
    if (out.size() == kMaxPemCertificates) {
      return absl::InvalidArgumentError("the PEM text has more than 64 certificates");
    }
    auto one =
        Certificate::FromDer({reinterpret_cast<const char*>(data), static_cast<size_t>(size)});
    if (!one.ok())
      return Annotate(one.status(), "certificate ", out.size() + 1, " of the PEM text");
    out.push_back(*std::move(one));
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  const std::string reason = TakeLibraryError();
  if (!at_end) {
    return absl::InvalidArgumentError(
        absl::StrCat("the PEM text is broken behind certificate ", out.size(), ": ", reason));
  }
  if (out.empty()) return absl::InvalidArgumentError("the PEM text has no certificate");
  return out;
}

std::string ToPem(std::span<const Certificate> certificates) {
  std::string out;
  for (const Certificate& certificate : certificates) out += certificate.ToPem();
  return out;
}

}  // namespace heddle::tls
