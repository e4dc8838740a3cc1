#include "controlplane/ca/certificate_authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/io/testing/co_test.h"
#include "lib/tls/peer_verifier.h"
#include "lib/tls/signing_request.h"
#include "lib/tls/testing/authority.h"

namespace heddle::controlplane::ca {
namespace {

using testing::HasSubstr;

std::string RequestPem(const tls::PrivateKey& key, const tls::SpiffeId& asked) {
  return tls::CreateSigningRequest(key, asked);
}

SigningOrder Order(const tls::SpiffeId& identity, absl::Duration lifetime = absl::Hours(1)) {
  const tls::PrivateKey key = tls::PrivateKey::Generate();
  return {.identity = identity, .signing_request = RequestPem(key, identity), .lifetime = lifetime};
}

CertificateAuthority MustOpen(const std::string& directory, const Clock& clock) {
  auto opened = CertificateAuthority::Open(directory, clock);
  CHECK(opened.ok());
  return *std::move(opened);
}

std::string WhyNot(const TemporaryDirectory& directory, const Clock& clock) {
  const auto opened = CertificateAuthority::Open(directory.path(), clock);
  return opened.ok() ? "opened" : std::string(opened.status().message());
}

tls::Certificate Leaf(const std::vector<std::string>& chain) {
  auto parsed = tls::ParseCertificatesPem(chain.front());
  CHECK(parsed.ok() && parsed->size() == 1);
  return parsed->front();
}

TEST(CertificateAuthority, MakesARootOnFirstStartThatOnlyItsOwnerCanRead) {
  const TemporaryDirectory parent;
  const FakeClock clock;
  const CertificateAuthority authority = MustOpen(parent / "state", clock);
  EXPECT_EQ(parent.ModeOf("state"), 0700u);
  EXPECT_EQ(parent.ModeOf("state/root-cert.pem"), 0600u);
  EXPECT_EQ(parent.ModeOf("state/root-key.pem"), 0600u);
  EXPECT_EQ(parent.Read("state/root-cert.pem"), authority.roots_pem());
  EXPECT_EQ(authority.root().not_after(), clock.Wall() + kRootLifetime);
}

TEST(CertificateAuthority, IsTheSameAfterARestart) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  const std::string fingerprint = MustOpen(directory.path(), clock).root().Fingerprint();
  EXPECT_EQ(MustOpen(directory.path(), clock).root().Fingerprint(), fingerprint);
}

TEST(CertificateAuthority, RefusesHalfAPair) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  MustOpen(directory.path(), clock);
  const std::string key = directory.Read("root-key.pem");
  std::filesystem::remove(directory / "root-key.pem");
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("root-key.pem: is missing, but"));
  directory.Write("root-key.pem", key);
  std::filesystem::remove(directory / "root-cert.pem");
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("root-cert.pem: is missing, but"));
}

TEST(CertificateAuthority, RefusesWhatIsBroken) {
  const FakeClock clock;
  const TemporaryDirectory other;
  const CertificateAuthority another = MustOpen(other.path(), clock);
  const auto server = another.IssueServer({"heddle-controller"});
  ASSERT_TRUE(server.ok());
  const struct {
    const char* name;
    const char* file;
    std::string contents;
    const char* want;
  } cases[] = {
      {"no PEM", "root-cert.pem", "garbage", "root-cert.pem: "},
      {"empty", "root-cert.pem", "", "root-cert.pem: "},
      {"a leaf", "root-cert.pem", server->chain.front().ToPem(), "is none of an authority"},
      {"another's", "root-cert.pem", another.roots_pem(), "the private key does not belong"},
      {"no key", "root-key.pem", "garbage", "root-key.pem: "},
      {"another's key", "root-key.pem", other.Read("root-key.pem"), "does not belong"},
  };
  for (const auto& test : cases) {
    const TemporaryDirectory directory;
    MustOpen(directory.path(), clock);
    directory.Write(test.file, test.contents);
    EXPECT_THAT(WhyNot(directory, clock), HasSubstr(test.want)) << test.name;
  }
}

TEST(CertificateAuthority, RefusesAKeyThatOthersCanReadAndADirectoryTheyCanWrite) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  MustOpen(directory.path(), clock);
  ASSERT_EQ(::chmod((directory / "root-key.pem").c_str(), 0640), 0);
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("chmod 600"));
  ASSERT_EQ(::chmod((directory / "root-key.pem").c_str(), 0600), 0);
  ASSERT_EQ(::chmod(directory.path().c_str(), 0777), 0);
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("chmod 700"));
}

TEST(CertificateAuthority, RefusesLinksAndFilesInPlaceOfDirectories) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  MustOpen(directory.path(), clock);
  std::filesystem::rename(directory / "root-key.pem", directory / "moved");
  std::filesystem::create_symlink("moved", directory / "root-key.pem");
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("root-key.pem: cannot open it"));
  const auto on_file = CertificateAuthority::Open(directory / "moved", clock);
  EXPECT_THAT(std::string(on_file.status().message()), HasSubstr("is not a directory"));
}

TEST(CertificateAuthority, RefusesARootThatIsNotValidNow) {
  const TemporaryDirectory directory;
  FakeClock clock;
  MustOpen(directory.path(), clock);
  clock.SetWall(clock.Wall() - absl::Hours(48));
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("is this machine's clock right"));
  clock.SetWall(clock.Wall() + kRootLifetime + absl::Hours(48));
  EXPECT_THAT(WhyNot(directory, clock), HasSubstr("the root has expired"));
}

CO_TEST(CertificateAuthority, SignsTheKeyOfTheRequestForTheIdentityThatWasDecidedOn) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  const tls::PrivateKey key = tls::PrivateKey::Generate();
  const SigningOrder order{.identity = tls::MakeId("shop", "cart"),
                           .signing_request = RequestPem(key, tls::MakeId("kube-system", "admin")),
                           .lifetime = absl::Hours(1)};
  const auto chain = co_await authority.Sign(order, {});
  CO_ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->size(), 2u);
  EXPECT_EQ(chain->back(), authority.roots_pem());
  const tls::Certificate leaf = Leaf(*chain);
  EXPECT_EQ(leaf.public_key(), key.public_key());
  EXPECT_EQ(leaf.subject(), "");
  EXPECT_EQ(leaf.subject_alt_names().size(), 1u);
  const auto roots = tls::TrustRoots::FromPem(chain->back());
  CO_ASSERT_TRUE(roots.ok());
  const std::vector<std::string_view> presented = {leaf.der()};
  const tls::PeerRule only_cart = tls::OneOfIdentities{{tls::MakeId("shop", "cart")}};
  const auto peer =
      tls::VerifyPeer(**roots, only_cart, tls::PeerRole::kServer, presented, clock.Wall());
  EXPECT_TRUE(peer.has_value()) << peer.error().sentence;
}

CO_TEST(CertificateAuthority, GivesEachLeafAnotherSerialNumber) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  const SigningOrder order = Order(tls::MakeId("a", "b"));
  const auto first = co_await authority.Sign(order, {});
  const auto second = co_await authority.Sign(order, {});
  CO_ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_NE(Leaf(*first).serial(), Leaf(*second).serial());
}

CO_TEST(CertificateAuthority, GivesAtMostADayAndAtMostWhatItHasItself) {
  const TemporaryDirectory directory;
  FakeClock clock;
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  const struct {
    absl::Duration wish, want;
  } cases[] = {{absl::Hours(1), absl::Hours(1)},
               {absl::Hours(25), kLeafLifetimeMax},
               {absl::Seconds(INT64_MAX), kLeafLifetimeMax},
               {absl::ZeroDuration(), kLeafLifetimeMax},
               {absl::Seconds(INT64_MIN), kLeafLifetimeMax}};
  for (const auto& test : cases) {
    const SigningOrder order = Order(tls::MakeId("a", "b"), test.wish);
    const auto chain = co_await authority.Sign(order, {});
    CO_ASSERT_TRUE(chain.ok());
    EXPECT_EQ(Leaf(*chain).not_after() - clock.Wall(), test.want) << test.wish;
    EXPECT_EQ(clock.Wall() - Leaf(*chain).not_before(), kClockSkew);
  }
  clock.SetWall(authority.root().not_after() - absl::Minutes(10));
  const SigningOrder order = Order(tls::MakeId("a", "b"));
  const auto chain = co_await authority.Sign(order, {});
  CO_ASSERT_TRUE(chain.ok());
  EXPECT_EQ(Leaf(*chain).not_after(), authority.root().not_after());
}

CO_TEST(CertificateAuthority, SignsNothingOnceItsRootHasExpired) {
  const TemporaryDirectory directory;
  FakeClock clock;
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  clock.SetWall(authority.root().not_after());
  const SigningOrder order = Order(tls::MakeId("a", "b"));
  const auto chain = co_await authority.Sign(order, {});
  EXPECT_THAT(std::string(chain.status().message()), HasSubstr("the root has expired"));
}

CO_TEST(CertificateAuthority, RefusesRequestsWithoutAUsableKey) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  SigningOrder order = Order(tls::MakeId("a", "b"));
  for (const std::string& request : {std::string(), std::string("garbage"),
                                     order.signing_request.substr(0, 200), authority.roots_pem()}) {
    order.signing_request = request;
    const auto chain = co_await authority.Sign(order, {});
    EXPECT_EQ(chain.status().code(), absl::StatusCode::kInvalidArgument) << request;
  }
}

CO_TEST(CertificateAuthority, HandsOutAllRootsDuringARotation) {
  const TemporaryDirectory old_directory;
  const TemporaryDirectory directory;
  const FakeClock clock;
  const std::string old_root = MustOpen(old_directory.path(), clock).roots_pem();
  const std::string own_root = MustOpen(directory.path(), clock).roots_pem();
  directory.Write("root-cert.pem", own_root + old_root);
  CertificateAuthority authority = MustOpen(directory.path(), clock);
  const SigningOrder order = Order(tls::MakeId("a", "b"));
  const auto chain = co_await authority.Sign(order, {});
  CO_ASSERT_TRUE(chain.ok());
  EXPECT_EQ(chain->back(), own_root + old_root);
}

TEST(CertificateAuthority, IssuesItsServerACertificateForDnsNames) {
  const TemporaryDirectory directory;
  const FakeClock clock;
  const CertificateAuthority authority = MustOpen(directory.path(), clock);
  const auto credential = authority.IssueServer({"heddle-controller", "heddle.svc"});
  ASSERT_TRUE(credential.ok());
  const auto roots = tls::TrustRoots::FromPem(authority.roots_pem());
  const std::vector<std::string_view> presented = {credential->chain.front().der()};
  for (const auto& [name, want] : {std::pair("heddle.svc", true), std::pair("other", false)}) {
    const tls::PeerRule rule = tls::HasDnsName{{name}};
    EXPECT_EQ(
        tls::VerifyPeer(**roots, rule, tls::PeerRole::kServer, presented, clock.Wall()).has_value(),
        want);
  }
}

}  // namespace
}  // namespace heddle::controlplane::ca
