#include "lib/tls/peer_verifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"

namespace heddle::tls {
namespace {

using testing::HasSubstr;
using Kind = Refusal::Kind;
using Type = SubjectAltName::Type;

const SubjectAltName kSleep = {Type::kUri, "spiffe://cluster.local/ns/default/sa/sleep"};

class PeerVerifierTest : public testing::Test {
 protected:
  Result<VerifiedPeer, Refusal> Verify(const std::vector<Certificate>& chain, const PeerRule& rule,
                                       PeerRole role = PeerRole::kClient) {
    std::vector<std::string_view> ders;
    for (const Certificate& certificate : chain) ders.push_back(certificate.der());
    return VerifyPeer(*authority_.roots(), rule, role, ders, clock_.Wall());
  }

  // The refusal's class and a part of its sentence.
  void ExpectRefused(const std::vector<Certificate>& chain, const PeerRule& rule, Kind kind,
                     const std::string& why, PeerRole role = PeerRole::kClient) {
    auto peer = Verify(chain, rule, role);
    ASSERT_FALSE(peer) << why;
    EXPECT_EQ(peer.error().kind, kind) << peer.error().sentence;
    EXPECT_THAT(peer.error().sentence, HasSubstr(why));
  }

  CertificateTemplate Leaf(std::vector<SubjectAltName> names) {
    return authority_.LeafTemplate(key_, std::move(names));
  }

  FakeClock clock_;
  TestAuthority authority_{clock_};
  PrivateKey key_ = PrivateKey::Generate();
  const PeerRule mesh_ = AnyInTrustDomain{"cluster.local"};
};

TEST_F(PeerVerifierTest, AcceptsAnIdentityOfTheTrustDomain) {
  const Credential sleep = authority_.Issue(MakeId("default", "sleep"));
  auto peer = Verify(sleep.chain, mesh_);
  ASSERT_TRUE(peer) << peer.error().sentence;
  EXPECT_EQ(peer->identity, MakeId("default", "sleep"));
  EXPECT_EQ(peer->serial, sleep.chain.front().serial());
  EXPECT_EQ(peer->not_after, clock_.Wall() + absl::Hours(24));
}

TEST_F(PeerVerifierTest, AcceptsAChainThroughAnIntermediate) {
  auto intermediate = authority_.issuer().CreateIntermediate("middle", authority_.usual_validity());
  ASSERT_TRUE(intermediate.ok());
  Credential sleep = authority_.IssueFrom(*intermediate, MakeId("default", "sleep"));
  ASSERT_EQ(sleep.chain.size(), 2u);
  EXPECT_TRUE(Verify(sleep.chain, mesh_));
  sleep.chain.pop_back();
  ExpectRefused(sleep.chain, mesh_, Kind::kUnknownAuthority,
                "does not end in one of the 1 trusted roots");
}

TEST_F(PeerVerifierTest, AcceptsARootThatIsItselfAnIntermediate) {
  auto intermediate = authority_.issuer().CreateIntermediate("middle", authority_.usual_validity());
  ASSERT_TRUE(intermediate.ok());
  const Credential sleep = authority_.IssueFrom(*intermediate, MakeId("default", "sleep"));
  auto roots = TrustRoots::Create({intermediate->certificate()});
  ASSERT_TRUE(roots.ok());
  const std::string_view chain[] = {sleep.chain.front().der()};
  EXPECT_TRUE(VerifyPeer(**roots, mesh_, PeerRole::kClient, chain, clock_.Wall()));
}

TEST_F(PeerVerifierTest, RefusesAChainThatIsEmptyTooLongOrGarbage) {
  ExpectRefused({}, mesh_, Kind::kBadCertificate, "presented no certificate");
  const Credential sleep = authority_.Issue(MakeId("default", "sleep"));
  ExpectRefused(std::vector(kMaxPeerCertificates + 1, sleep.chain.front()), mesh_,
                Kind::kBadCertificate, "presented 9 certificates, and 8 are allowed");
  const std::string_view garbage[] = {"garbage"};
  auto peer = VerifyPeer(*authority_.roots(), mesh_, PeerRole::kClient, garbage, clock_.Wall());
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().sentence, HasSubstr("certificate 1 of the peer's chain is malformed"));
}

TEST_F(PeerVerifierTest, RefusesBeforeAndAfterTheValidity) {
  const Credential sleep = authority_.Issue(MakeId("default", "sleep"));
  const absl::Time now = clock_.Wall();
  clock_.SetWall(now + absl::Hours(24) - absl::Seconds(1));
  EXPECT_TRUE(Verify(sleep.chain, mesh_));
  clock_.SetWall(now + absl::Hours(24));
  ExpectRefused(sleep.chain, mesh_, Kind::kExpired, "expired at 2027-01-16T08:00:00+00:00");
  clock_.SetWall(now - absl::Hours(1));
  EXPECT_TRUE(Verify(sleep.chain, mesh_));
  clock_.SetWall(now - absl::Hours(1) - absl::Seconds(1));
  ExpectRefused(sleep.chain, mesh_, Kind::kExpired,
                "is not valid before 2027-01-15T07:00:00+00:00");
}

TEST_F(PeerVerifierTest, RefusesAnExpiredIntermediateByItsName) {
  auto intermediate = authority_.issuer().CreateIntermediate(
      "middle", {clock_.Wall() - absl::Hours(2), clock_.Wall() + absl::Hours(24)});
  ASSERT_TRUE(intermediate.ok());
  CertificateTemplate wanted = Leaf({kSleep});
  wanted.validity.not_after = clock_.Wall() + absl::Hours(48);
  auto leaf = BuildCertificate(wanted, &intermediate->certificate(), intermediate->key());
  ASSERT_TRUE(leaf.ok());
  clock_.Advance(absl::Hours(25));
  ExpectRefused({*leaf, intermediate->certificate()}, mesh_, Kind::kExpired,
                "the issuing certificate \"CN=middle\" expired at");
}

TEST_F(PeerVerifierTest, RefusesAnotherRootAlsoOneOfTheSameName) {
  const TestAuthority other(clock_, "other root");
  const TestAuthority impostor(clock_, "test root");
  ExpectRefused(other.Issue(MakeId("default", "sleep")).chain, mesh_, Kind::kUnknownAuthority,
                "does not end in one of the 1 trusted roots");
  auto peer = Verify(impostor.Issue(MakeId("default", "sleep")).chain, mesh_);
  EXPECT_FALSE(peer);
  // Presenting the impostor's root with the leaf does not help.
  auto chain = impostor.Issue(MakeId("default", "sleep")).chain;
  chain.push_back(impostor.issuer().root());
  EXPECT_FALSE(Verify(chain, mesh_));
}

TEST_F(PeerVerifierTest, RefusesASelfSignedLeaf) {
  auto leaf = BuildCertificate(Leaf({kSleep}), nullptr, key_);
  ASSERT_TRUE(leaf.ok());
  ExpectRefused({*leaf}, mesh_, Kind::kUnknownAuthority, "does not end in one of");
}

TEST_F(PeerVerifierTest, RefusesALeafSignedByALeaf) {
  const Credential evil = authority_.Issue(MakeId("default", "evil"));
  auto leaf = BuildCertificate(Leaf({kSleep}), &evil.chain.front(), evil.key);
  ASSERT_TRUE(leaf.ok());
  // A certificate that may not issue is not even considered as an issuer.
  ExpectRefused({*leaf, evil.chain.front()}, mesh_, Kind::kUnknownAuthority,
                "no trusted issuer for the peer's");
}

TEST_F(PeerVerifierTest, RefusesAnIntermediateBelowOneThatMaySignLeavesOnly) {
  auto middle = authority_.issuer().CreateIntermediate("middle", authority_.usual_validity());
  ASSERT_TRUE(middle.ok());
  auto lower = middle->CreateIntermediate("lower", authority_.usual_validity());
  ASSERT_TRUE(lower.ok());
  ExpectRefused(authority_.IssueFrom(*lower, MakeId("default", "sleep")).chain, mesh_,
                Kind::kBadCertificate, "path length constraint exceeded");
}

TEST_F(PeerVerifierTest, RefusesADamagedSignature) {
  const Credential sleep = authority_.Issue(MakeId("default", "sleep"));
  std::string der = sleep.chain.front().der();
  der.back() ^= 1;
  const std::string_view chain[] = {der};
  auto peer = VerifyPeer(*authority_.roots(), mesh_, PeerRole::kClient, chain, clock_.Wall());
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().sentence, HasSubstr("the signature on the peer's certificate"));
}

TEST_F(PeerVerifierTest, HonoursUsagesWhenPresent) {
  CertificateTemplate none = Leaf({kSleep});
  none.key_usages = {};
  none.extended_key_usages = {};
  EXPECT_TRUE(Verify({authority_.Sign(none)}, mesh_));

  CertificateTemplate agreement = Leaf({kSleep});
  agreement.key_usages = {.key_agreement = true};
  ExpectRefused({authority_.Sign(agreement)}, mesh_, Kind::kWrongUsage,
                "keyUsage without digitalSignature");

  CertificateTemplate server_only = Leaf({kSleep});
  server_only.extended_key_usages = {.server = true};
  EXPECT_TRUE(Verify({authority_.Sign(server_only)}, mesh_, PeerRole::kServer));
  ExpectRefused({authority_.Sign(server_only)}, mesh_, Kind::kWrongUsage, "without clientAuth");

  CertificateTemplate client_only = Leaf({kSleep});
  client_only.extended_key_usages = {.client = true};
  ExpectRefused({authority_.Sign(client_only)}, mesh_, Kind::kWrongUsage, "without serverAuth",
                PeerRole::kServer);
}

TEST_F(PeerVerifierTest, RefusesACertificateAuthorityAsPeer) {
  CertificateTemplate authority = Leaf({kSleep});
  authority.is_ca = true;
  authority.key_usages.certificate_signing = true;
  ExpectRefused({authority_.Sign(authority)}, mesh_, Kind::kWrongUsage,
                "one of a certificate authority");
}

TEST_F(PeerVerifierTest, RefusesWhatDoesNotClaimOneIdentity) {
  ExpectRefused({authority_.Sign(Leaf({}))}, mesh_, Kind::kWrongIdentity,
                "no URI name and so no identity");
  ExpectRefused({authority_.Sign(Leaf({{Type::kDns, "sleep.default"}}))}, mesh_,
                Kind::kWrongIdentity, "its names are DNS:sleep.default");
  ExpectRefused({authority_.Sign(Leaf({kSleep, {Type::kUri, "https://x/"}}))}, mesh_,
                Kind::kWrongIdentity, "more than one URI name");
  ExpectRefused({authority_.Sign(Leaf({{Type::kUri, kSleep.value + std::string("\0.evil", 6)}}))},
                mesh_, Kind::kWrongIdentity, "NUL byte");
  ExpectRefused({authority_.Sign(Leaf({{Type::kUri, "spiffe://cluster.local/sleep"}}))}, mesh_,
                Kind::kWrongIdentity, "not of the form spiffe://");
}

TEST_F(PeerVerifierTest, RefusesAnotherTrustDomainAlsoOneThatBeginsOrEndsAlike) {
  for (std::string_view domain :
       {"other.domain", "cluster.local.evil", "evil.cluster.local", "cluster.loca"}) {
    ExpectRefused(authority_.Issue(MakeId("default", "sleep", domain)).chain, mesh_,
                  Kind::kWrongIdentity, "which is not of the trust domain cluster.local");
  }
}

TEST_F(PeerVerifierTest, AcceptsOnlyAnExpectedIdentity) {
  const auto chain = authority_.Issue(MakeId("default", "sleep")).chain;
  const PeerRole server = PeerRole::kServer;
  EXPECT_TRUE(
      Verify(chain, OneOfIdentities{{MakeId("x", "y"), MakeId("default", "sleep")}}, server));
  ExpectRefused(chain, OneOfIdentities{{MakeId("default", "sleep2")}}, Kind::kWrongIdentity,
                "expected was spiffe://cluster.local/ns/default/sa/sleep2", server);
  ExpectRefused(chain, OneOfIdentities{{MakeId("x", "y"), MakeId("x", "z")}}, Kind::kWrongIdentity,
                "or one of 1 others", server);
  ExpectRefused(chain, OneOfIdentities{}, Kind::kWrongIdentity, "expected was nobody", server);
}

TEST_F(PeerVerifierTest, MatchesDnsNamesByLabels) {
  const struct {
    std::string presented, asked;
    bool match;
  } kCases[] = {
      {"controller.mesh.svc", "controller.mesh.svc", true},
      {"controller.mesh.svc", "CONTROLLER.mesh.svc", true},
      {"controller.mesh.svc", "controller.mesh.svc.cluster.local", false},
      {"controller.mesh.svc", "x.controller.mesh.svc", false},
      {"*.mesh.svc", "controller.mesh.svc", true},
      {"*.mesh.svc", "a.b.mesh.svc", false},
      {"*.mesh.svc", "mesh.svc", false},
      {"c*.mesh.svc", "controller.mesh.svc", false},
  };
  for (const auto& test : kCases) {
    const auto leaf = authority_.Sign(Leaf({{Type::kDns, test.presented}}));
    EXPECT_EQ(Verify({leaf}, HasDnsName{{test.asked}}, PeerRole::kServer).has_value(), test.match)
        << test.presented << " for " << test.asked;
  }
}

TEST_F(PeerVerifierTest, RefusesDnsNamesThatAreWrongMissingOrHidden) {
  const PeerRule rule = HasDnsName{{"controller.mesh.svc"}};
  const PeerRole server = PeerRole::kServer;
  ExpectRefused({authority_.Sign(Leaf({{Type::kDns, "other.svc"}}))}, rule, Kind::kWrongIdentity,
                "is for DNS:other.svc, not for controller.mesh.svc", server);
  ExpectRefused({authority_.Sign(Leaf({{Type::kUri, "controller.mesh.svc"}}))}, rule,
                Kind::kWrongIdentity, "has no DNS name", server);
  ExpectRefused(
      {authority_.Sign(Leaf({{Type::kDns, std::string("controller.mesh.svc\0.evil", 25)}}))}, rule,
      Kind::kWrongIdentity, "contains a NUL byte", server);
  // A common name is not a name (RFC 6125 section 6.4.4, RFC 9525 section 2).
  CertificateTemplate common_name = Leaf({{Type::kIp, "127.0.0.1"}});
  common_name.common_name = "controller.mesh.svc";
  ExpectRefused({authority_.Sign(common_name)}, rule, Kind::kWrongIdentity, "has no DNS name",
                server);
}

TEST_F(PeerVerifierTest, MatchesIpAddressesExactly) {
  const auto leaf = authority_.Sign(Leaf({{Type::kDns, "10.0.0.2"},
                                          {Type::kIp, "10.0.0.1"},
                                          {Type::kIp, "fd00::1"}}));
  const struct {
    std::string asked;
    bool match;
  } kCases[] = {{"10.0.0.1", true},   {"::ffff:10.0.0.1", true}, {"fd00::1", true},
                {"10.0.0.2", false},  {"fd00::2", false},        {"10.0.0.11", false},
                {"::", false}};
  for (const auto& test : kCases) {
    const HasIpAddress rule{*io::IpAddress::Parse(test.asked)};
    EXPECT_EQ(Verify({leaf}, rule, PeerRole::kServer).has_value(), test.match) << test.asked;
  }
  const PeerRule wanted = HasIpAddress{io::IpAddress::V4(10, 0, 0, 9)};
  ExpectRefused({leaf}, wanted, Kind::kWrongIdentity, "not for the address 10.0.0.9",
                PeerRole::kServer);
}

TEST_F(PeerVerifierTest, AsksForNothingWhenToldSo) {
  auto peer = Verify({}, NoCertificate{});
  ASSERT_TRUE(peer);
  EXPECT_EQ(peer->identity, std::nullopt);
}

}  // namespace
}  // namespace heddle::tls
