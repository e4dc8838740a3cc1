#include "lib/tls/issuer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/signing_request.h"
#include "lib/tls/testing/authority.h"

namespace heddle::tls {
namespace {

using testing::HasSubstr;

// Made by "openssl req -new -newkey rsa:1024 -nodes -subj /".
constexpr std::string_view kSmallRsaRequest =
    "-----BEGIN CERTIFICATE REQUEST-----\n"
    "MIIBPzCBqQIBADAAMIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDHGnsOJEuf\n"
    "4cipoBC7gtWe7nUj2xRtL5jHDCzUbJKl9ZEhfgbs1ehym4ts2DUv7Ls1F+aru/BS\n"
    "NoRWHe6scre5JsEf/hZWUSdY4EVx30JNHdx7EHjwecx+4dJoe0rR32IGay1+7n58\n"
    "/GS1hGr3NpEDfNOH+8RBsGacxjUJT6/APwIDAQABoAAwDQYJKoZIhvcNAQELBQAD\n"
    "gYEArX0xaljSnEQo7mx0/Gako0dxWHOqJemQnY+lU2VujY12wJ2GD5qWrOFoTRC/\n"
    "B829+ggkSPz7BJi0l7yMIzNfdI2oFv1UbGHc8yN7kaDOBHgKxUJ5ubtPdY1C0YWK\n"
    "fKygxJgHS4TFVagG2d2rcHYJ8wApH7KayfnFDO9CVxbxAK8=\n"
    "-----END CERTIFICATE REQUEST-----\n";

TEST(Issuer, SurvivesBeingStored) {
  FakeClock clock;
  TestAuthority authority(clock);
  auto key = PrivateKey::FromPem(authority.issuer().key().ToPem());
  auto chain = ParseCertificatesPem(ToPem(authority.issuer().chain()));
  ASSERT_TRUE(key.ok() && chain.ok());
  auto issuer = Issuer::Create(*chain, *key);
  ASSERT_TRUE(issuer.ok()) << issuer.status();
  EXPECT_EQ(issuer->root(), authority.issuer().root());
}

TEST(Issuer, RefusesAKeyOrCertificateThatIsNotItsOwn) {
  FakeClock clock;
  TestAuthority authority(clock);
  auto other_key = Issuer::Create(authority.issuer().chain(), PrivateKey::Generate());
  ASSERT_FALSE(other_key.ok());
  EXPECT_THAT(other_key.status().message(), HasSubstr("does not belong"));
  Credential leaf = authority.Issue(MakeId("a", "b"));
  auto no_authority = Issuer::Create(leaf.chain, leaf.key);
  ASSERT_FALSE(no_authority.ok());
  EXPECT_THAT(no_authority.status().message(), HasSubstr("not one of a certificate authority"));
}

TEST(Issuer, RefusesLeavesThatOutliveIt) {
  FakeClock clock;
  TestAuthority authority(clock);
  LeafRequest request = {.key = PrivateKey::Generate().public_key(),
                         .name = MakeId("a", "b"),
                         .validity = {clock.Wall(), clock.Wall() + absl::Hours(100'000)},
                         .serial = RandomSerial()};
  EXPECT_THAT(authority.issuer().IssueLeaf(request).status().message(),
              HasSubstr("outside of its issuer's"));
  request.validity = {clock.Wall(), clock.Wall()};
  EXPECT_THAT(authority.issuer().IssueLeaf(request).status().message(),
              HasSubstr("never be valid"));
}

TEST(Issuer, CountsItsOwnValidityInWholeSecondsAsTheCertificateDoes) {
  FakeClock clock;
  TestAuthority authority(clock);
  clock.Advance(absl::Milliseconds(300));
  auto intermediate = authority.issuer().CreateIntermediate("middle", authority.usual_validity());
  ASSERT_TRUE(intermediate.ok()) << intermediate.status();
  const LeafRequest request = {.key = PrivateKey::Generate().public_key(),
                               .name = MakeId("a", "b"),
                               .validity = authority.usual_validity(),
                               .serial = RandomSerial()};
  EXPECT_TRUE(intermediate->IssueLeaf(request).ok());
}

TEST(Issuer, RefusesNamesThatAreNone) {
  FakeClock clock;
  TestAuthority authority(clock);
  for (const DnsNames& names :
       {DnsNames{}, DnsNames{{""}}, DnsNames{{"a b"}}, DnsNames{{std::string("a\0b", 3)}}}) {
    const LeafRequest request = {.key = PrivateKey::Generate().public_key(),
                                 .name = names,
                                 .validity = authority.usual_validity(),
                                 .serial = RandomSerial()};
    EXPECT_FALSE(authority.issuer().IssueLeaf(request).ok());
  }
}

TEST(Issuer, RefusesSerialsThatAreNegativeEmptyOrTooLong) {
  FakeClock clock;
  TestAuthority authority(clock);
  for (const std::string& serial :
       {std::string(), std::string("\x80", 1), std::string(21, '\x01')}) {
    const LeafRequest request = {.key = PrivateKey::Generate().public_key(),
                                 .name = MakeId("a", "b"),
                                 .validity = authority.usual_validity(),
                                 .serial = serial};
    EXPECT_FALSE(authority.issuer().IssueLeaf(request).ok());
  }
  EXPECT_NE(RandomSerial(), RandomSerial());
}

TEST(SigningRequest, HandsOverItsKeyAndProvesPossession) {
  const PrivateKey key = PrivateKey::Generate();
  const std::string pem = CreateSigningRequest(key, MakeId("default", "sleep"));
  EXPECT_TRUE(pem.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
  auto asked = KeyOfSigningRequest(pem);
  ASSERT_TRUE(asked.ok()) << asked.status();
  EXPECT_EQ(*asked, key.public_key());
}

TEST(SigningRequest, RefusesSmallKeys) {
  auto asked = KeyOfSigningRequest(kSmallRsaRequest);
  ASSERT_FALSE(asked.ok());
  EXPECT_THAT(asked.status().message(), HasSubstr("RSA key does not have 2048"));
}

TEST(SigningRequest, RefusesAKeyThatDidNotSign) {
  const std::string pem = CreateSigningRequest(PrivateKey::Generate(), MakeId("default", "sleep"));
  // The signature is the last field: changing the end of the base64 text changes nothing else.
  std::string forged = pem;
  const size_t at = forged.rfind("\n-----END") - 6;
  forged[at] = forged[at] == 'A' ? 'B' : 'A';
  auto asked = KeyOfSigningRequest(forged);
  ASSERT_FALSE(asked.ok());
  EXPECT_THAT(asked.status().message(), HasSubstr("not signed with its own key"));
}

TEST(SigningRequest, RefusesWhatIsNone) {
  FakeClock clock;
  TestAuthority authority(clock);
  EXPECT_FALSE(KeyOfSigningRequest("").ok());
  EXPECT_FALSE(KeyOfSigningRequest(authority.issuer().root().ToPem()).ok());
  EXPECT_FALSE(KeyOfSigningRequest(std::string(kMaxSigningRequestBytes + 1, 'x')).ok());
}

}  // namespace
}  // namespace heddle::tls
