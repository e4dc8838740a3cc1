#include "agent/identity/issued_certificate.h"

#include <absl/strings/str_cat.h>

#include <nlohmann/json.hpp>

#include "lib/base/status.h"
#include "lib/tls/certificate.h"
#include "lib/tls/trust_roots.h"

namespace heddle::agent {
namespace {

absl::Status CheckLeaf(const tls::SpiffeId& identity, const tls::Certificate& leaf,
                       absl::Time now) {
  TRY_ASSIGN(const tls::SpiffeId claimed, tls::ClaimedSpiffeId(leaf));
  if (claimed != identity) {
    return absl::PermissionDeniedError(absl::StrCat("the certificate is for ", claimed.ToString(),
                                                    ", not for ", identity.ToString()));
  }
  if (now < leaf.not_before() || now > leaf.not_after()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the certificate is valid from ", absl::FormatTime(leaf.not_before()), " to ",
        absl::FormatTime(leaf.not_after()), ", which is not now; do the clocks agree?"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<IdentityCertificate> MakeIdentityCertificate(const tls::SpiffeId& identity,
                                                            const IssuedCertificate& issued,
                                                            const TunnelTls& tls,
                                                            const Clock& clock) {
  if (issued.chain.size() < 2) {
    return absl::InvalidArgumentError("the answer has no leaf or no root certificate");
  }
  TRY_ASSIGN(tls::PrivateKey key, tls::PrivateKey::FromPem(issued.key));
  tls::ContextOptions options;
  TRY_ASSIGN(options.roots, tls::TrustRoots::FromPem(issued.chain.back()));
  tls::Credential credential{.chain = {}, .key = std::move(key)};
  for (size_t i = 0; i + 1 < issued.chain.size(); ++i) {
    TRY_ASSIGN(std::vector<tls::Certificate> parsed, tls::ParseCertificatesPem(issued.chain[i]));
    for (tls::Certificate& certificate : parsed) credential.chain.push_back(std::move(certificate));
  }
  if (credential.chain.empty())
    return absl::InvalidArgumentError("the answer has no leaf certificate");
  const tls::Certificate leaf = credential.chain.front();
  TRY_STATUS(CheckLeaf(identity, leaf, clock.Wall()));
  options.credential = std::move(credential);
  options.alpn = {"h2"};
  options.groups = tls.groups;
  options.verified_chains = tls.verified_chains;
  IdentityCertificate certificate{
      .context = nullptr, .not_before = leaf.not_before(), .not_after = leaf.not_after()};
  TRY_ASSIGN(certificate.context, tls::TlsContext::Create(std::move(options), clock));
  return certificate;
}

absl::Time RenewalTime(const IdentityCertificate& certificate) {
  return certificate.not_before + (certificate.not_after - certificate.not_before) / 2;
}

std::string EncodeIssuedCertificate(const IssuedCertificate& issued) {
  nlohmann::ordered_json json;
  json["key"] = issued.key;
  json["chain"] = issued.chain;
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

absl::StatusOr<IssuedCertificate> DecodeIssuedCertificate(std::string_view text) {
  try {
    const auto json = nlohmann::json::parse(text);
    return IssuedCertificate{.key = json.at("key"), .chain = json.at("chain")};
  } catch (const nlohmann::json::exception&) {
    // The library's message would quote the text, and the text has a key in it.
    return absl::InvalidArgumentError("not a saved certificate");
  }
}

}  // namespace heddle::agent
