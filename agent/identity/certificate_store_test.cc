#include "agent/identity/certificate_store.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/issuer.h"
#include "lib/tls/signing_request.h"

namespace heddle::agent {
namespace {

tls::SpiffeId Id(std::string_view account) {
  return *tls::SpiffeId::Create("cluster.local", "shop", account);
}

// An authority in memory, which can be told to refuse or to certify somebody else.
class TestSigner final : public CertificateSigner {
 public:
  explicit TestSigner(Clock& clock)
      : clock_(clock),
        root_(*tls::Issuer::CreateRoot(
            "test root", {clock.Wall() - absl::Hours(1), clock.Wall() + absl::Hours(10000)})) {}

  Task<absl::StatusOr<std::vector<std::string>>> Sign(tls::SpiffeId identity, std::string csr,
                                                      StopToken) override {
    ++calls;
    if (!refusal.empty()) co_return absl::UnavailableError(refusal);
    auto key = tls::KeyOfSigningRequest(csr);
    if (!key.ok()) co_return key.status();
    const tls::Validity validity{clock_.Wall() - backdate, clock_.Wall() + lifetime};
    const auto leaf =
        root_.IssueLeaf({*key, sign_as.value_or(identity), validity, tls::RandomSerial()});
    co_return std::vector<std::string>{leaf->ToPem(), root_.root().ToPem()};
  }

  int calls = 0;
  std::string refusal;
  std::optional<tls::SpiffeId> sign_as;
  absl::Duration lifetime = absl::Hours(24);
  absl::Duration backdate;

 private:
  Clock& clock_;
  tls::Issuer root_;
};

class CertificateStoreTest : public testing::Test {
 protected:
  CertificateStoreTest()
      : directory_(testing::TempDir() + "/certificates_" + std::to_string(::getpid())),
        loop_(clock_, io::LoopOptions{.backend = io::BackendChoice::kEpoll}),
        random_(1),
        signer_(clock_),
        store_({loop_, random_, signer_, directory_}, {},
               [this](std::shared_ptr<const Certificates> certificates) {
                 published_ = std::move(certificates);
               }) {
    std::filesystem::create_directories(directory_);
  }
  ~CertificateStoreTest() override {
    loop_.RunUntilDone(store_.Stop());
    std::filesystem::remove_all(directory_);
  }
  // Lets everything that is due happen.
  void Settle() {
    for (int i = 0; i < 20; ++i) loop_.Turn(MonotonicTime());
  }
  void Advance(absl::Duration total) {
    for (absl::Duration passed; passed < total; passed += absl::Seconds(30)) {
      clock_.Advance(absl::Seconds(30));
      Settle();
    }
  }

  std::string directory_;
  FakeClock clock_;
  io::Loop loop_;
  SeededRandom random_;
  TestSigner signer_;
  std::shared_ptr<const Certificates> published_;
  CertificateStore store_;
};

TEST_F(CertificateStoreTest, FetchesWhenAnIdentityAppearsAndForgetsItWithTheLastPod) {
  store_.Want({Id("a")});
  Settle();
  ASSERT_NE(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
  store_.Want({});
  Settle();
  EXPECT_EQ(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
  EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(CertificateStoreTest, RenewsAtHalfLifeWithANewKey) {
  store_.Want({Id("a")});
  Settle();
  const auto first = published_->FindValid(Id("a"), clock_.Wall())->context;
  Advance(absl::Hours(11));
  EXPECT_EQ(signer_.calls, 1);
  Advance(absl::Hours(2));
  EXPECT_EQ(signer_.calls, 2);
  const auto second = published_->FindValid(Id("a"), clock_.Wall())->context;
  EXPECT_NE(first->options().credential->key.public_key(),
            second->options().credential->key.public_key());
}

TEST_F(CertificateStoreTest, RenewsWhenAskedAndKeepsTheOldCertificateUntilThen) {
  store_.Want({Id("a"), Id("b")});
  Settle();
  const auto first = published_->FindValid(Id("a"), clock_.Wall())->context;
  signer_.refusal = "nobody home";
  store_.Renew();
  Settle();
  EXPECT_EQ(published_->FindValid(Id("a"), clock_.Wall())->context, first);
  signer_.refusal.clear();
  Advance(absl::Minutes(4));
  EXPECT_NE(published_->FindValid(Id("a"), clock_.Wall())->context, first);
  const int calls = signer_.calls;
  Advance(absl::Hours(1));
  EXPECT_EQ(signer_.calls, calls) << "asked for once";
  store_.Renew();
  Settle();
  EXPECT_EQ(signer_.calls, calls + 2);
}

TEST_F(CertificateStoreTest, KeepsTheOldCertificateWhileTheAuthorityIsAwayAndNothingAfterItsEnd) {
  store_.Want({Id("a")});
  Settle();
  signer_.refusal = "nobody home";
  Advance(absl::Hours(20));
  EXPECT_NE(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
  EXPECT_THAT(published_->entries().at(Id("a")).failure, testing::HasSubstr("nobody home"));
  Advance(absl::Hours(5));
  EXPECT_EQ(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
}

TEST_F(CertificateStoreTest, BacksOffAndComesBack) {
  signer_.refusal = "no";
  store_.Want({Id("a")});
  Settle();
  EXPECT_EQ(signer_.calls, 1);
  Advance(absl::Hours(1));
  EXPECT_LT(signer_.calls, 45) << "an hour at 150 s with jitter, after a steep start";
  EXPECT_GT(signer_.calls, 20);
  signer_.refusal.clear();
  Advance(absl::Minutes(4));
  EXPECT_NE(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
}

TEST_F(CertificateStoreTest, DoesNotStormAnAuthorityThatGivesNoTime) {
  signer_.lifetime = absl::Minutes(1);
  signer_.backdate = absl::Minutes(2);  // Past half its life from the start.
  store_.Want({Id("a")});
  Settle();
  EXPECT_LE(signer_.calls, 2);
  Advance(absl::Hours(1));
  EXPECT_LT(signer_.calls, 45);
}

TEST_F(CertificateStoreTest, RefusesACertificateForSomebodyElse) {
  signer_.sign_as = Id("b");
  store_.Want({Id("a")});
  Settle();
  EXPECT_EQ(published_->FindValid(Id("a"), clock_.Wall()), nullptr);
  EXPECT_THAT(published_->entries().at(Id("a")).failure, testing::HasSubstr("not for"));
}

TEST_F(CertificateStoreTest, ItsIdentitiesShareWhatTheyKnowOfPeers) {
  store_.Want({Id("a"), Id("b")});
  Settle();
  const auto known = [this](const tls::SpiffeId& id) {
    return published_->FindValid(id, clock_.Wall())->context->options().verified_chains;
  };
  ASSERT_NE(known(Id("a")), nullptr);
  EXPECT_EQ(known(Id("a")), known(Id("b")));
}

TEST_F(CertificateStoreTest, RemembersCertificatesAcrossARestart) {
  store_.Want({Id("a")});
  Settle();
  signer_.refusal = "gone";
  std::shared_ptr<const Certificates> seen;
  const std::vector<tls::Group> groups = {tls::Group::kX25519MlKem768, tls::Group::kX25519};
  CertificateStore restarted({loop_, random_, signer_, directory_, groups}, {},
                             [&](std::shared_ptr<const Certificates> c) { seen = std::move(c); });
  restarted.Want({Id("a")});
  const auto* certificate = seen->FindValid(Id("a"), clock_.Wall());
  ASSERT_NE(certificate, nullptr);
  EXPECT_EQ(certificate->context->options().groups, groups);
  loop_.RunUntilDone(restarted.Stop());
}

}  // namespace
}  // namespace heddle::agent
