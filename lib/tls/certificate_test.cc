#include "lib/tls/certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"

namespace heddle::tls {
namespace {

using testing::HasSubstr;
using testing::SizeIs;
using Type = SubjectAltName::Type;

TEST(Certificate, TellsTheFieldsOfAnIssuedLeaf) {
  FakeClock clock;
  TestAuthority authority(clock);
  const Credential credential = authority.Issue(MakeId("default", "sleep"));
  const Certificate& leaf = credential.chain.front();
  EXPECT_EQ(leaf.subject(), "");
  EXPECT_EQ(leaf.issuer(), "CN=test root");
  EXPECT_THAT(leaf.serial(), SizeIs(32));
  EXPECT_EQ(leaf.not_before(), clock.Wall() - absl::Hours(1));
  EXPECT_EQ(leaf.not_after(), clock.Wall() + absl::Hours(24));
  EXPECT_FALSE(leaf.is_ca());
  EXPECT_EQ(leaf.public_key(), credential.key.public_key());
  ASSERT_THAT(leaf.subject_alt_names(), SizeIs(1));
  EXPECT_EQ(leaf.subject_alt_names()[0].ToString(),
            "URI:spiffe://cluster.local/ns/default/sa/sleep");
  EXPECT_EQ(*ClaimedSpiffeId(leaf), MakeId("default", "sleep"));
  EXPECT_THAT(leaf.Fingerprint(), SizeIs(64));
}

TEST(Certificate, SurvivesPem) {
  FakeClock clock;
  TestAuthority authority(clock);
  auto intermediate = authority.issuer().CreateIntermediate("middle", authority.usual_validity());
  ASSERT_TRUE(intermediate.ok()) << intermediate.status();
  const auto& chain = intermediate->chain();
  auto parsed = ParseCertificatesPem("a comment\n" + ToPem(chain) + "and another\n");
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(*parsed, chain);
  EXPECT_TRUE(parsed->front().is_ca());
}

TEST(Certificate, IgnoresPemBlocksOfOtherTypes) {
  FakeClock clock;
  TestAuthority authority(clock);
  auto parsed =
      ParseCertificatesPem(PrivateKey::Generate().ToPem() + authority.issuer().root().ToPem());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_THAT(*parsed, SizeIs(1));
}

TEST(Certificate, RefusesPemThatIsBrokenOrTooLong) {
  FakeClock clock;
  TestAuthority authority(clock);
  const std::string good = authority.issuer().root().ToPem();
  std::string cut = good;
  cut.resize(cut.size() / 2);
  std::string damaged = good;
  damaged[damaged.find('\n') + 10] ^= 1;
  std::string many;
  for (size_t i = 0; i <= kMaxPemCertificates; ++i) many += good;
  const struct {
    std::string name, pem, why;
  } kCases[] = {
      {"empty", "", "no certificate"},
      {"no block", "hello", "no certificate"},
      {"cut off", cut, "broken"},
      {"second cut off", good + cut, "broken behind certificate 1"},
      {"damaged", damaged, "certificate 1 of the PEM text"},
      {"too many", many, "more than 64"},
      {"too long", std::string(kMaxPemBytes + 1, 'x'), "longer than 1 MiB"},
  };
  for (const auto& test : kCases) {
    auto parsed = ParseCertificatesPem(test.pem);
    ASSERT_FALSE(parsed.ok()) << test.name;
    EXPECT_THAT(parsed.status().message(), HasSubstr(test.why)) << test.name;
  }
}

TEST(Certificate, RefusesDerWithABytePrefixedAppendedOrMissing) {
  FakeClock clock;
  TestAuthority authority(clock);
  const std::string der = authority.issuer().root().der();
  EXPECT_TRUE(Certificate::FromDer(der).ok());
  EXPECT_FALSE(Certificate::FromDer(der + "x").ok());
  EXPECT_FALSE(Certificate::FromDer("x" + der).ok());
  for (size_t n = 0; n < der.size(); ++n)
    ASSERT_FALSE(Certificate::FromDer(der.substr(0, n)).ok()) << n;
}

TEST(Certificate, ClaimsAnIdentityOnlyWithExactlyOneUri) {
  FakeClock clock;
  TestAuthority authority(clock);
  const SubjectAltName good = {Type::kUri, "spiffe://cluster.local/ns/a/sa/b"};
  const struct {
    std::string name;
    std::vector<SubjectAltName> names;
    std::string why;
  } kCases[] = {
      {"no name", {}, "has no URI name and so no identity: it has no subjectAltName"},
      {"DNS in place of URI", {{Type::kDns, "a.b.svc"}}, "its names are DNS:a.b.svc"},
      {"two URIs",
       {good, {Type::kUri, "spiffe://cluster.local/ns/a/sa/c"}},
       "more than one URI name"},
      {"the same twice", {good, good}, "more than one URI name"},
      {"other URI", {{Type::kUri, "https://cluster.local/"}}, "not of the form spiffe://"},
      {"NUL at the end", {{Type::kUri, good.value + std::string(1, '\0')}}, "contains a NUL byte"},
      {"NUL in the middle",
       {{Type::kUri, "spiffe://cluster.local/ns/a/sa/b" + std::string("\0x", 2)}},
       "NUL byte"},
      {"NUL in another name",
       {good, {Type::kDns, std::string("a\0z", 3)}},
       "contains a NUL byte: DNS:a\\x00z"},
  };
  const PrivateKey key = PrivateKey::Generate();
  for (const auto& test : kCases) {
    auto id = ClaimedSpiffeId(authority.Sign(authority.LeafTemplate(key, test.names)));
    ASSERT_FALSE(id.ok()) << test.name;
    EXPECT_THAT(id.status().message(), HasSubstr(test.why)) << test.name;
  }
  const auto leaf = authority.Sign(
      authority.LeafTemplate(key, {good, {Type::kDns, "also.fine"}, {Type::kIp, "10.0.0.1"}}));
  EXPECT_TRUE(ClaimedSpiffeId(leaf).ok());
  EXPECT_EQ(leaf.subject_alt_names()[2].ToString(), "IP:10.0.0.1");
}

TEST(PrivateKey, SurvivesPemAndRefusesWhatWeDoNotUse) {
  const PrivateKey key = PrivateKey::Generate();
  EXPECT_TRUE(key.ToPem().starts_with("-----BEGIN PRIVATE KEY-----"));
  auto parsed = PrivateKey::FromPem(key.ToPem());
  ASSERT_TRUE(parsed.ok()) << parsed.status();
  EXPECT_EQ(parsed->public_key(), key.public_key());
  EXPECT_FALSE(PrivateKey::FromPem("").ok());
  EXPECT_FALSE(
      PrivateKey::FromPem("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n").ok());
  // The Ed25519 key of RFC 8032 section 7.1, test 1: a type that our peers do not use.
  auto ed25519 = PrivateKey::FromPem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g\n"
      "-----END PRIVATE KEY-----\n");
  ASSERT_FALSE(ed25519.ok());
  EXPECT_THAT(ed25519.status().message(), HasSubstr("neither ECDSA nor RSA"));
}

}  // namespace
}  // namespace heddle::tls
