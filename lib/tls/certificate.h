#pragma once

#include <absl/status/statusor.h>
#include <absl/time/time.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/tls/private_key.h"
#include "lib/tls/spiffe_id.h"

struct x509_st;  // BoringSSL's certificate; its functions stay inside this module.

namespace heddle::tls {

// Most certificates in one PEM text: a chain has two to four, a bundle of roots during a rotation a
// few more.
inline constexpr size_t kMaxPemCertificates = 64;
// Longest PEM text that is read, and longest single certificate. Ours have about 700 bytes.
inline constexpr size_t kMaxPemBytes = size_t{1024} * 1024;
inline constexpr size_t kMaxCertificateBytes = size_t{64} * 1024;
// Most names in one certificate.
inline constexpr size_t kMaxSubjectAltNames = 256;

// One entry of the subjectAltName extension (RFC 5280 section 4.2.1.6).
struct SubjectAltName {
  enum class Type : uint8_t { kDns, kUri, kIp, kEmail, kOther };
  Type type = Type::kOther;
  // The bytes as they stand in the certificate, NUL included; an IP address as text.
  std::string value;

  // "URI:spiffe://...", unprintable bytes escaped.
  std::string ToString() const;
  bool operator==(const SubjectAltName&) const = default;
};

// A parsed X.509 certificate: its bytes and the fields that are of use here. Nothing about it has
// been verified. Immutable; copies share the bytes. Thread-safe.
class Certificate {
 public:
  static absl::StatusOr<Certificate> FromDer(std::string_view der);
  static absl::StatusOr<Certificate> FromX509(const x509_st* x509);  // For this module.

  const std::string& der() const { return fields_->der; }
  std::string ToPem() const;

  // For people: "CN=root, O=heddle", empty when the name is empty; unprintable bytes escaped.
  const std::string& subject() const { return fields_->subject; }
  const std::string& issuer() const { return fields_->issuer; }
  // Lower-case hexadecimal, at most 40 digits.
  const std::string& serial() const { return fields_->serial; }
  absl::Time not_before() const { return fields_->not_before; }
  absl::Time not_after() const { return fields_->not_after; }
  const std::vector<SubjectAltName>& subject_alt_names() const {
    return fields_->subject_alt_names;
  }
  // basicConstraints say that it may sign certificates.
  bool is_ca() const { return fields_->is_ca; }
  PublicKey public_key() const { return PublicKey(fields_->spki); }
  // SHA-256 of the DER bytes in lower-case hexadecimal: the name under which tools show it.
  std::string Fingerprint() const;

  bool operator==(const Certificate& other) const { return der() == other.der(); }

 private:
  struct Fields {
    std::string der, subject, issuer, serial, spki;
    absl::Time not_before, not_after;
    std::vector<SubjectAltName> subject_alt_names;
    bool is_ca = false;
  };
  explicit Certificate(std::shared_ptr<const Fields> fields) : fields_(std::move(fields)) {}
  std::shared_ptr<const Fields> fields_;
};

// Reads every CERTIFICATE block of `pem`, in order; text between blocks and blocks of other types
// are ignored. None, one that does not parse, or more than the limits above is an error that says
// which.
absl::StatusOr<std::vector<Certificate>> ParseCertificatesPem(std::string_view pem);

std::string ToPem(std::span<const Certificate> certificates);

// The identity that the certificate claims: its single URI name. No URI name, several, a NUL in any
// name, or a URI that is no SPIFFE ID is an error with a sentence of its own. A claim only: see
// PeerVerifier.
absl::StatusOr<SpiffeId> ClaimedSpiffeId(const Certificate& certificate);

}  // namespace heddle::tls
