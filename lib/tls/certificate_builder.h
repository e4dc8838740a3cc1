#pragma once

#include <absl/status/statusor.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "lib/tls/certificate.h"
#include "lib/tls/issuer.h"
#include "lib/tls/private_key.h"

namespace heddle::tls {

// The usages that we ever put into a certificate (RFC 5280 sections 4.2.1.3 and 4.2.1.12). An empty
// set leaves the extension out.
struct KeyUsages {
  bool digital_signature = false;
  bool key_agreement = false;
  bool certificate_signing = false;
  bool crl_signing = false;
  bool empty() const {
    return !digital_signature && !key_agreement && !certificate_signing && !crl_signing;
  }
};
struct ExtendedKeyUsages {
  bool server = false;
  bool client = false;
  bool empty() const { return !server && !client; }
};

// What goes into a certificate: any certificate, also one that no verifier should accept. Issuer is
// where sense is made of it. Key identifiers are added always.
struct CertificateTemplate {
  std::string common_name;  // Empty: an empty subject.
  PublicKey key;
  Validity validity;
  std::string serial;                 // Big-endian bytes.
  std::vector<SubjectAltName> names;  // A critical extension, when there are any.
  bool is_ca = false;
  std::optional<int> path_length;
  KeyUsages key_usages;
  ExtendedKeyUsages extended_key_usages;
};

// Signs with SHA-256. Without `issuer` the certificate is self-signed: `issuer_key` is then its own
// key.
absl::StatusOr<Certificate> BuildCertificate(const CertificateTemplate& wanted,
                                             const Certificate* issuer,
                                             const PrivateKey& issuer_key);

}  // namespace heddle::tls
