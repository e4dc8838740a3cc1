#pragma once

#include <memory>
#include <string>
#include <vector>

#include "lib/base/check.h"
#include "lib/base/clock.h"
#include "lib/tls/certificate_builder.h"
#include "lib/tls/context.h"
#include "lib/tls/issuer.h"
#include "lib/tls/trust_roots.h"

namespace heddle::tls {

inline SpiffeId MakeId(std::string_view name_space, std::string_view service_account,
                       std::string_view trust_domain = "cluster.local") {
  auto id = SpiffeId::Create(trust_domain, name_space, service_account);
  CHECK(id.ok());
  return *std::move(id);
}

// A certificate authority for tests, valid for ten years around the clock's time.
class TestAuthority {
 public:
  explicit TestAuthority(const Clock& clock, std::string_view name = "test root")
      : clock_(clock),
        issuer_(
            Root(name, {clock.Wall() - absl::Hours(50'000), clock.Wall() + absl::Hours(50'000)})) {}

  const Issuer& issuer() const { return issuer_; }
  // One hour back, 24 hours ahead.
  Validity usual_validity() const {
    return {clock_.Wall() - absl::Hours(1), clock_.Wall() + absl::Hours(24)};
  }
  std::shared_ptr<const TrustRoots> roots() const {
    auto roots = TrustRoots::Create({issuer_.root()});
    CHECK(roots.ok());
    return *roots;
  }

  Credential Issue(std::variant<SpiffeId, DnsNames> name) const {
    return IssueFrom(issuer_, std::move(name));
  }
  Credential IssueFrom(const Issuer& issuer, std::variant<SpiffeId, DnsNames> name) const {
    PrivateKey key = PrivateKey::Generate();
    auto leaf = issuer.IssueLeaf({.key = key.public_key(),
                                  .name = std::move(name),
                                  .validity = usual_validity(),
                                  .serial = RandomSerial()});
    CHECK(leaf.ok());
    std::vector<Certificate> chain = {*std::move(leaf)};
    chain.insert(chain.end(), issuer.intermediates().begin(), issuer.intermediates().end());
    return {std::move(chain), std::move(key)};
  }

  // What a well-formed leaf looks like, to be spoiled by a test and signed with Sign.
  CertificateTemplate LeafTemplate(const PrivateKey& key, std::vector<SubjectAltName> names) const {
    return {.key = key.public_key(),
            .validity = usual_validity(),
            .serial = RandomSerial(),
            .names = std::move(names),
            .key_usages = {.digital_signature = true},
            .extended_key_usages = {.server = true, .client = true}};
  }
  Certificate Sign(const CertificateTemplate& wanted) const {
    auto certificate = BuildCertificate(wanted, &issuer_.certificate(), issuer_.key());
    CHECK(certificate.ok());
    return *std::move(certificate);
  }

  std::shared_ptr<const TlsContext> Context(Credential credential) const {
    return ContextWith({.credential = std::move(credential), .roots = roots(), .alpn = {"h2"}});
  }
  std::shared_ptr<const TlsContext> ContextWith(ContextOptions options) const {
    auto context = TlsContext::Create(std::move(options), clock_);
    CHECK(context.ok());
    return *context;
  }

 private:
  static Issuer Root(std::string_view name, Validity validity) {
    auto root = Issuer::CreateRoot(name, validity);
    CHECK(root.ok());
    return *std::move(root);
  }

  const Clock& clock_;
  Issuer issuer_;
};

}  // namespace heddle::tls
