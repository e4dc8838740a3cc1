#include "lib/tls/issuer.h"

#include <absl/strings/str_cat.h>
#include <openssl/rand.h>

#include "lib/base/check.h"
#include "lib/base/status.h"
#include "lib/tls/certificate_builder.h"

namespace heddle::tls {
namespace {

constexpr size_t kMaxDnsNameBytes = 253;  // RFC 1035 section 2.3.4.

CertificateTemplate AuthorityTemplate(std::string_view common_name, PublicKey key,
                                      Validity validity) {
  return {.common_name = std::string(common_name),
          .key = std::move(key),
          .validity = validity,
          .serial = RandomSerial(),
          .is_ca = true,
          .key_usages = {.certificate_signing = true, .crl_signing = true}};
}

absl::StatusOr<std::vector<SubjectAltName>> NamesOf(const std::variant<SpiffeId, DnsNames>& name) {
  using Type = SubjectAltName::Type;
  if (const auto* identity = std::get_if<SpiffeId>(&name)) {
    return std::vector<SubjectAltName>{{Type::kUri, identity->ToString()}};
  }
  std::vector<SubjectAltName> names;
  for (const std::string& dns : std::get<DnsNames>(name).names) {
    if (dns.empty() || dns.size() > kMaxDnsNameBytes ||
        dns.find_first_not_of(
            "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.*") !=
            std::string::npos) {
      return absl::InvalidArgumentError("not a DNS name that a certificate can carry");
    }
    names.push_back({Type::kDns, dns});
  }
  if (names.empty() || names.size() > kMaxSubjectAltNames) {
    return absl::InvalidArgumentError("a certificate needs 1 to 256 DNS names");
  }
  return names;
}

// Compared as they will stand in the certificate, in whole seconds.
absl::Status CheckWithin(const Validity& inner, const Certificate& issuer) {
  const int64_t from = absl::ToUnixSeconds(inner.not_before);
  const int64_t to = absl::ToUnixSeconds(inner.not_after);
  if (from >= to) return absl::InvalidArgumentError("the certificate would never be valid");
  if (from >= absl::ToUnixSeconds(issuer.not_before()) &&
      to <= absl::ToUnixSeconds(issuer.not_after())) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "the certificate would be valid from ", absl::FormatTime(inner.not_before), " to ",
      absl::FormatTime(inner.not_after), ", outside of its issuer's own validity from ",
      absl::FormatTime(issuer.not_before()), " to ", absl::FormatTime(issuer.not_after())));
}

}  // namespace

std::string RandomSerial() {
  std::string serial(16, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(serial.data()), serial.size());
  // Positive, and never shorter than it looks: DER drops leading zero bytes.
  serial[0] = static_cast<char>((static_cast<uint8_t>(serial[0]) & 0x7f) | 0x40);
  return serial;
}

absl::StatusOr<Issuer> Issuer::CreateRoot(std::string_view common_name, Validity validity) {
  if (common_name.empty())
    return absl::InvalidArgumentError("a certificate authority needs a name");
  if (validity.not_before >= validity.not_after)
    return absl::InvalidArgumentError("the root would never be valid");
  const PrivateKey key = PrivateKey::Generate();
  TRY_ASSIGN(
      Certificate root,
      BuildCertificate(AuthorityTemplate(common_name, key.public_key(), validity), nullptr, key));
  return Issuer({std::move(root)}, key);
}

absl::StatusOr<Issuer> Issuer::Create(std::vector<Certificate> chain, PrivateKey key) {
  if (chain.empty())
    return absl::InvalidArgumentError("a certificate authority needs a certificate");
  for (const Certificate& certificate : chain) {
    if (certificate.is_ca()) continue;
    return absl::InvalidArgumentError(absl::StrCat("the certificate of ", certificate.subject(),
                                                   " is not one of a certificate authority"));
  }
  if (chain.front().public_key() != key.public_key()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the private key does not belong to the certificate of ", chain.front().subject()));
  }
  return Issuer(std::move(chain), std::move(key));
}

absl::StatusOr<Issuer> Issuer::CreateIntermediate(std::string_view common_name,
                                                  Validity validity) const {
  if (common_name.empty())
    return absl::InvalidArgumentError("a certificate authority needs a name");
  TRY_STATUS(CheckWithin(validity, certificate()));
  const PrivateKey key = PrivateKey::Generate();
  CertificateTemplate wanted = AuthorityTemplate(common_name, key.public_key(), validity);
  wanted.path_length = 0;
  TRY_ASSIGN(Certificate own, BuildCertificate(wanted, &certificate(), key_));
  std::vector<Certificate> chain = {std::move(own)};
  chain.insert(chain.end(), chain_.begin(), chain_.end());
  return Issuer(std::move(chain), key);
}

absl::StatusOr<Certificate> Issuer::IssueLeaf(const LeafRequest& request) const {
  TRY_STATUS(CheckWithin(request.validity, certificate()));
  TRY_ASSIGN(std::vector<SubjectAltName> names, NamesOf(request.name));
  return BuildCertificate({.key = request.key,
                           .validity = request.validity,
                           .serial = request.serial,
                           .names = std::move(names),
                           .key_usages = {.digital_signature = true},
                           .extended_key_usages = {.server = true, .client = true}},
                          &certificate(), key_);
}

}  // namespace heddle::tls
