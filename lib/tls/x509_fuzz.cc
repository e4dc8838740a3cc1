// Everything that reads certificates, requests, keys and identities from outside. The first byte
// says who reads the rest. Checked beyond "does not crash": what was read survives being written.
// Keys are random, as what they sign is not what is being tested.

#include <cstdint>
#include <string_view>

#include "lib/base/check.h"
#include "lib/tls/certificate.h"
#include "lib/tls/certificate_builder.h"
#include "lib/tls/peer_verifier.h"
#include "lib/tls/private_key.h"
#include "lib/tls/signing_request.h"
#include "lib/tls/spiffe_id.h"

namespace heddle::tls {
namespace {

const PrivateKey& OurKey() {
  static const PrivateKey key = PrivateKey::Generate();
  return key;
}

// Another certificate can bear the same names, except those of a kind that we cannot write.
void WriteNames(const std::vector<SubjectAltName>& names) {
  const Validity validity = {absl::FromUnixSeconds(1'700'000'000),
                             absl::FromUnixSeconds(1'900'000'000)};
  const auto written = BuildCertificate(
      {.key = OurKey().public_key(), .validity = validity, .serial = "1", .names = names}, nullptr,
      OurKey());
  if (written.ok()) CHECK(written->subject_alt_names() == names);
}

void ReadCertificate(std::string_view input) {
  auto certificate = Certificate::FromDer(input);
  if (!certificate.ok()) return;
  CHECK(certificate->der() == input);
  auto again = ParseCertificatesPem(certificate->ToPem());
  CHECK(again.ok() && again->size() == 1 && again->front() == *certificate);
  auto identity = ClaimedSpiffeId(*certificate);
  if (identity.ok()) CHECK(SpiffeId::Parse(identity->ToString()).ok());
  WriteNames(certificate->subject_alt_names());
}

void ReadSpiffeId(std::string_view input) {
  auto id = SpiffeId::Parse(input);
  if (!id.ok()) return;
  CHECK(id->ToString() == input);
  auto again = SpiffeId::Create(id->trust_domain(), id->name_space(), id->service_account());
  CHECK(again.ok() && *again == *id);
  const auto key = KeyOfSigningRequest(CreateSigningRequest(OurKey(), *id));
  CHECK(key.ok() && *key == OurKey().public_key());
}

// The last certificate is the root, the others are the chain.
void Verify(std::string_view input) {
  const auto all = TrustRoots::FromPem(input);
  if (!all.ok()) return;
  const std::vector<Certificate>& parsed = (*all)->certificates();
  const auto again = ParseCertificatesPem(ToPem(parsed));
  CHECK(again.ok() && *again == parsed);
  auto roots = TrustRoots::Create({parsed.back()});
  CHECK(roots.ok());
  std::vector<std::string_view> chain;
  for (const Certificate& one : parsed) chain.push_back(one.der());
  chain.pop_back();
  const absl::Time now = absl::FromUnixSeconds(1'800'000'000);
  const PeerRule rules[] = {AnyInTrustDomain{"cluster.local"}, OneOfIdentities{},
                            HasDnsName{{"controller.mesh.svc"}},
                            HasIpAddress{io::IpAddress::V4(10, 0, 0, 1)}};
  for (const PeerRule& rule : rules) {
    for (PeerRole role : {PeerRole::kClient, PeerRole::kServer}) {
      auto peer = VerifyPeer(**roots, rule, role, chain, now);
      if (!peer) CHECK(!peer.error().sentence.empty());
      const bool named = std::holds_alternative<HasDnsName>(rule) ||
                         std::holds_alternative<HasIpAddress>(rule);
      if (peer && !named) CHECK(peer->identity.has_value());
    }
  }
}

void ReadKey(std::string_view input) {
  auto key = PrivateKey::FromPem(input);
  if (key.ok()) CHECK(PrivateKey::FromPem(key->ToPem())->public_key() == key->public_key());
}

void Dispatch(char reader, std::string_view input) {
  switch (reader) {
    case 'c': return ReadCertificate(input);
    case 's': return ReadSpiffeId(input);
    case 'v': return Verify(input);
    case 'k': return ReadKey(input);
    case 'r': return (void)KeyOfSigningRequest(input);
    default: return;
  }
}

}  // namespace
}  // namespace heddle::tls

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  if (!input.empty()) heddle::tls::Dispatch(input.front(), input.substr(1));
  return 0;
}
