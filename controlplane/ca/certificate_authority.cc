#include "controlplane/ca/certificate_authority.h"

#include <absl/strings/str_cat.h>

#include <algorithm>

#include "controlplane/ca/private_file.h"
#include "lib/base/status.h"
#include "lib/base/strings.h"
#include "lib/tls/signing_request.h"

namespace heddle::controlplane::ca {
namespace {

constexpr char kRootName[] = "heddle root";
// A root is valid from this long before it is made: longer than kClockSkew, so that no leaf begins
// before it.
constexpr absl::Duration kRootSkew = absl::Hours(1);

struct Paths {
  explicit Paths(const std::string& directory)
      : certificate(directory + "/root-cert.pem"), key(directory + "/root-key.pem") {}
  std::string certificate;
  std::string key;
};

absl::StatusOr<tls::Issuer> StoreNewRoot(const Paths& paths, const Clock& clock) {
  TRY_ASSIGN(tls::Issuer root, MakeRoot(clock.Wall()));
  // The key first: a certificate without its key would be handed out as a root and sign nothing.
  TRY_STATUS(CreatePrivateFile(paths.key, root.key().ToPem()));
  TRY_STATUS(CreatePrivateFile(paths.certificate, root.root().ToPem()));
  return root;
}

absl::Status CheckPair(const absl::Status& certificate, const absl::Status& key,
                       const Paths& paths) {
  const bool has_certificate = !absl::IsNotFound(certificate);
  const bool has_key = !absl::IsNotFound(key);
  if (has_certificate == has_key) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(
      has_key ? paths.certificate : paths.key, ": is missing, but ",
      has_key ? paths.key : paths.certificate,
      " is there; put it back from a backup, or remove both to begin with a new root, which every "
      "node must then be given"));
}

absl::Status CheckTimes(const tls::Certificate& root, absl::Time now, const std::string& path) {
  if (now >= root.not_after()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": the root has expired on ", absl::FormatTime(root.not_after()),
                     "; replace it and its key, or remove both to begin with a new root"));
  }
  if (now < root.not_before()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": the root is not valid before ",
                                                      absl::FormatTime(root.not_before()),
                                                      "; is this machine's clock right?"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<tls::Issuer> MakeRoot(absl::Time now) {
  return tls::Issuer::CreateRoot(kRootName, {now - kRootSkew, now + kRootLifetime});
}

absl::StatusOr<AuthorityKeys> ParseAuthorityKeys(const std::string& certificate_pem,
                                                 const std::string& key_pem,
                                                 const KeyNames& names) {
  auto certificates = tls::ParseCertificatesPem(certificate_pem);
  if (!certificates.ok()) return Annotate(certificates.status(), ToAbsl(names.certificate));
  auto key = tls::PrivateKey::FromPem(key_pem);
  if (!key.ok()) return Annotate(key.status(), ToAbsl(names.key));
  for (const tls::Certificate& root : *certificates) {
    if (root.is_ca()) continue;
    return absl::InvalidArgumentError(absl::StrCat(ToAbsl(names.certificate),
                                                   ": the certificate of ", root.subject(),
                                                   " is none of an authority"));
  }
  auto issuer = tls::Issuer::Create({certificates->front()}, *std::move(key));
  if (!issuer.ok()) {
    return Annotate(issuer.status(), ToAbsl(names.certificate), " and ", ToAbsl(names.key));
  }
  return AuthorityKeys{.issuer = *std::move(issuer), .roots_pem = tls::ToPem(*certificates)};
}

absl::StatusOr<CertificateAuthority> CertificateAuthority::Open(const std::string& directory,
                                                                const Clock& clock) {
  TRY_STATUS(MakePrivateDirectory(directory));
  const Paths paths(directory);
  const auto certificate = ReadPrivateFile(paths.certificate, Secrecy::kPublic);
  const auto key = ReadPrivateFile(paths.key, Secrecy::kSecret);
  TRY_STATUS(CheckPair(certificate.status(), key.status(), paths));
  CertificateAuthority authority(clock);
  if (absl::IsNotFound(key.status())) {
    TRY_ASSIGN(tls::Issuer made, StoreNewRoot(paths, clock));
    std::string roots_pem = made.root().ToPem();
    authority.Use({.issuer = std::move(made), .roots_pem = std::move(roots_pem)});
    return authority;
  }
  TRY_STATUS(certificate.status());
  TRY_STATUS(key.status());
  TRY_ASSIGN(
      AuthorityKeys keys,
      ParseAuthorityKeys(*certificate, *key, {.certificate = paths.certificate, .key = paths.key}));
  TRY_STATUS(CheckTimes(keys.issuer.root(), clock.Wall(), paths.certificate));
  authority.Use(std::move(keys));
  return authority;
}

void CertificateAuthority::Use(AuthorityKeys keys) {
  keys_ = std::move(keys);
  ++generation_;
}

absl::StatusOr<tls::Validity> CertificateAuthority::ValidityFor(absl::Duration lifetime) const {
  if (!keys_.has_value()) return absl::UnavailableError("the authority has no root yet");
  const absl::Time now = clock_.Wall();
  const tls::Certificate& own = keys_->issuer.certificate();
  TRY_STATUS(CheckTimes(own, now, "root-cert.pem"));
  if (lifetime <= absl::ZeroDuration()) lifetime = keys_->leaf_lifetime_max;
  lifetime = std::min(lifetime, keys_->leaf_lifetime_max);
  const tls::Validity validity = {
      .not_before = std::max(now - kClockSkew, own.not_before()),
      .not_after = std::min({now + lifetime, own.not_after(), leaves_end_})};
  if (validity.not_after > now) return validity;
  return absl::UnavailableError(
      "the roots have not been heard of for so long that they may have been replaced");
}

absl::StatusOr<std::vector<std::string>> CertificateAuthority::SignNow(
    const SigningOrder& order) const {
  TRY_ASSIGN(tls::PublicKey key, tls::KeyOfSigningRequest(order.signing_request));
  TRY_ASSIGN(const tls::Validity validity, ValidityFor(order.lifetime));
  TRY_ASSIGN(const tls::Certificate leaf, keys_->issuer.IssueLeaf({.key = std::move(key),
                                                                   .name = order.identity,
                                                                   .validity = validity,
                                                                   .serial = tls::RandomSerial()}));
  std::vector<std::string> chain = {leaf.ToPem()};
  for (const tls::Certificate& above : keys_->issuer.intermediates())
    chain.push_back(above.ToPem());
  chain.push_back(keys_->roots_pem);
  return chain;
}

Task<absl::StatusOr<std::vector<std::string>>> CertificateAuthority::Sign(const SigningOrder& order,
                                                                          StopToken) {
  co_return SignNow(order);
}

absl::StatusOr<tls::Credential> CertificateAuthority::IssueServer(
    const std::vector<std::string>& dns_names) const {
  tls::PrivateKey key = tls::PrivateKey::Generate();
  TRY_ASSIGN(const tls::Validity validity, ValidityFor(kLeafLifetimeMax));
  TRY_ASSIGN(tls::Certificate leaf, keys_->issuer.IssueLeaf({.key = key.public_key(),
                                                             .name = tls::DnsNames{dns_names},
                                                             .validity = validity,
                                                             .serial = tls::RandomSerial()}));
  std::vector<tls::Certificate> chain = {std::move(leaf)};
  for (const tls::Certificate& above : keys_->issuer.intermediates()) chain.push_back(above);
  return tls::Credential{.chain = std::move(chain), .key = std::move(key)};
}

}  // namespace heddle::controlplane::ca
