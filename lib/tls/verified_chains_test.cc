#include "lib/tls/verified_chains.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

using testing::HasSubstr;
using Kind = Refusal::Kind;

class VerifiedChainsTest : public testing::Test {
 protected:
  Result<VerifiedPeer, Refusal> Verify(const std::vector<Certificate>& chain) {
    return VerifyAs(chain, mesh_, PeerRole::kClient);
  }
  Result<VerifiedPeer, Refusal> VerifyAs(const std::vector<Certificate>& chain,
                                         const PeerRule& rule, PeerRole role) {
    std::vector<std::string_view> ders;
    for (const Certificate& certificate : chain) ders.push_back(certificate.der());
    return chains_.Verify(*roots_, rule, role, ders, clock_.Wall());
  }

  FakeClock clock_;
  TestAuthority authority_{clock_};
  std::shared_ptr<const TrustRoots> roots_ = authority_.roots();
  VerifiedChains chains_{3};
  const PeerRule mesh_ = AnyInTrustDomain{"cluster.local"};
  const Credential sleep_ = authority_.Issue(MakeId("default", "sleep"));
};

TEST_F(VerifiedChainsTest, SaysOfAKnownChainWhatItSaidTheFirstTime) {
  const auto first = Verify(sleep_.chain);
  EXPECT_EQ(chains_.hits_total(), 0u);
  const auto second = Verify(sleep_.chain);
  EXPECT_EQ(chains_.hits_total(), 1u);
  ASSERT_TRUE(first && second);
  EXPECT_EQ(second->identity, MakeId("default", "sleep"));
  EXPECT_EQ(second->identity, first->identity);
  EXPECT_EQ(second->serial, first->serial);
  EXPECT_EQ(second->not_after, first->not_after);
}

TEST_F(VerifiedChainsTest, AsksOfAKnownChainWhetherItIsTheOneExpected) {
  ASSERT_TRUE(Verify(sleep_.chain));
  const PeerRule web = OneOfIdentities{{MakeId("default", "web")}};
  auto peer = VerifyAs(sleep_.chain, web, PeerRole::kClient);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().kind, Kind::kWrongIdentity);
  peer = VerifyAs(sleep_.chain, AnyInTrustDomain{"other.domain"}, PeerRole::kClient);
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().sentence, HasSubstr("not of the trust domain other.domain"));
  EXPECT_EQ(chains_.hits_total(), 2u);
}

TEST_F(VerifiedChainsTest, RefusesAKnownChainOnceItsLeafHasExpired) {
  ASSERT_TRUE(Verify(sleep_.chain));
  clock_.Advance(absl::Hours(24) - absl::Seconds(1));
  EXPECT_TRUE(Verify(sleep_.chain));
  EXPECT_EQ(chains_.hits_total(), 1u);
  clock_.Advance(absl::Seconds(1));
  const auto peer = Verify(sleep_.chain);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().kind, Kind::kExpired);
  EXPECT_EQ(chains_.size(), 0u);
}

TEST_F(VerifiedChainsTest, RefusesAKnownChainBeforeItsTime) {
  ASSERT_TRUE(Verify(sleep_.chain));
  clock_.SetWall(clock_.Wall() - absl::Hours(1) - absl::Seconds(1));
  const auto peer = Verify(sleep_.chain);
  ASSERT_FALSE(peer);
  EXPECT_THAT(peer.error().sentence, HasSubstr("is not valid before"));
}

TEST_F(VerifiedChainsTest, RefusesAKnownChainOnceItsIntermediateHasExpired) {
  auto intermediate = authority_.issuer().CreateIntermediate(
      "middle", {clock_.Wall() - absl::Hours(2), clock_.Wall() + absl::Hours(2)});
  ASSERT_TRUE(intermediate.ok());
  CertificateTemplate wanted = authority_.LeafTemplate(
      sleep_.key, {{SubjectAltName::Type::kUri, "spiffe://cluster.local/ns/default/sa/sleep"}});
  auto leaf = BuildCertificate(wanted, &intermediate->certificate(), intermediate->key());
  ASSERT_TRUE(leaf.ok());
  const std::vector<Certificate> chain = {*leaf, intermediate->certificate()};
  ASSERT_TRUE(Verify(chain));
  clock_.Advance(absl::Hours(3));
  const auto peer = Verify(chain);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().kind, Kind::kExpired);
  EXPECT_THAT(peer.error().sentence, HasSubstr("CN=middle"));
}

TEST_F(VerifiedChainsTest, RefusesAKnownChainUnderOtherRoots) {
  ASSERT_TRUE(Verify(sleep_.chain));
  const TestAuthority other(clock_);  // Of the same name.
  roots_ = other.roots();
  const auto peer = Verify(sleep_.chain);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().kind, Kind::kUnknownAuthority);
  roots_ = authority_.roots();  // Made anew, but the same.
  EXPECT_TRUE(Verify(sleep_.chain));
  EXPECT_EQ(chains_.hits_total(), 1u);
}

TEST_F(VerifiedChainsTest, KnowsAChainOnlyForWhatItsPeerDoes) {
  CertificateTemplate wanted = authority_.LeafTemplate(
      sleep_.key, {{SubjectAltName::Type::kUri, "spiffe://cluster.local/ns/default/sa/sleep"}});
  wanted.extended_key_usages = {.server = false, .client = true};
  const std::vector<Certificate> chain = {authority_.Sign(wanted)};
  ASSERT_TRUE(Verify(chain));
  const auto peer = VerifyAs(chain, mesh_, PeerRole::kServer);
  ASSERT_FALSE(peer);
  EXPECT_EQ(peer.error().kind, Kind::kWrongUsage);
}

TEST_F(VerifiedChainsTest, DoesNotRememberWhatItRefused) {
  const Credential stranger = TestAuthority(clock_, "other").Issue(MakeId("default", "sleep"));
  for (int i = 0; i < 2; ++i) {
    const auto peer = Verify(stranger.chain);
    ASSERT_FALSE(peer);
    EXPECT_EQ(peer.error().kind, Kind::kUnknownAuthority);
  }
  EXPECT_EQ(chains_.size(), 0u);
  EXPECT_EQ(chains_.hits_total(), 0u);
}

TEST_F(VerifiedChainsTest, TellsChainsApartThatShareALeaf) {
  ASSERT_TRUE(Verify(sleep_.chain));
  const std::vector<Certificate> longer = {sleep_.chain.front(), authority_.issuer().root()};
  ASSERT_TRUE(Verify(longer));
  EXPECT_EQ(chains_.hits_total(), 0u);
  EXPECT_FALSE(Verify({}));
  EXPECT_EQ(chains_.size(), 2u);
}

TEST_F(VerifiedChainsTest, ForgetsAtItsLimitWhatWasNotUsedForLongest) {
  std::vector<Credential> peers;
  for (const char* name : {"a", "b", "c", "d"}) {
    peers.push_back(authority_.Issue(MakeId("default", name)));
  }
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(Verify(peers[i].chain));
  ASSERT_TRUE(Verify(peers[0].chain));
  ASSERT_TRUE(Verify(peers[3].chain));  // In place of the second.
  EXPECT_EQ(chains_.size(), 3u);
  EXPECT_EQ(chains_.hits_total(), 1u);
  ASSERT_TRUE(Verify(peers[0].chain));
  EXPECT_EQ(chains_.hits_total(), 2u);
  ASSERT_TRUE(Verify(peers[1].chain));
  EXPECT_EQ(chains_.hits_total(), 2u);
}

// A client that presents somebody else's chain and signs with a key of its own.
class Thief {
 public:
  Thief(const std::vector<Certificate>& stolen, const PrivateKey& key)
      : context_(SSL_CTX_new(TLS_with_buffers_method())) {
    std::vector<bssl::UniquePtr<CRYPTO_BUFFER>> owned;
    std::vector<CRYPTO_BUFFER*> chain;
    for (const Certificate& certificate : stolen) {
      const auto bytes = AsBytes(certificate.der());
      owned.emplace_back(CRYPTO_BUFFER_new(bytes.data(), bytes.size(), nullptr));
      chain.push_back(owned.back().get());
    }
    static const SSL_PRIVATE_KEY_METHOD method = {.sign = Sign, .complete = Complete};
    CHECK(SSL_CTX_set_chain_and_key(context_.get(), chain.data(), chain.size(), nullptr, &method));
    const auto trusting = [](SSL*, uint8_t*) { return ssl_verify_ok; };
    SSL_CTX_set_custom_verify(context_.get(), SSL_VERIFY_PEER, trusting);
    ssl_.reset(SSL_new(context_.get()));
    const auto h2 = AsBytes("\x02h2");
    CHECK(SSL_set_alpn_protos(ssl_.get(), h2.data(), h2.size()) == 0);
    CHECK(SSL_set_app_data(ssl_.get(), key.get()));
    SSL_set_bio(ssl_.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(ssl_.get());
  }

  void HandshakeWith(TlsEngine& server) {
    for (int flights = 0; flights < 4; ++flights) {
      SSL_do_handshake(ssl_.get());
      const uint8_t* bytes = nullptr;
      size_t size = 0;
      CHECK(BIO_mem_contents(SSL_get_wbio(ssl_.get()), &bytes, &size));
      Deliver(std::vector<uint8_t>(bytes, bytes + size), server);
      CHECK(BIO_reset(SSL_get_wbio(ssl_.get())));
      const auto answer = server.output();
      CHECK(BIO_write_all(SSL_get_rbio(ssl_.get()), answer.data(), answer.size()));
      server.ConsumeOutput(answer.size());
    }
  }

 private:
  static ssl_private_key_result_t Sign(SSL* ssl, uint8_t* out, size_t* size, size_t size_max,
                                       uint16_t, const uint8_t* in, size_t in_size) {
    bssl::ScopedEVP_MD_CTX digest;
    *size = size_max;
    auto* key = static_cast<EVP_PKEY*>(SSL_get_app_data(ssl));
    CHECK(EVP_DigestSignInit(digest.get(), nullptr, EVP_sha256(), nullptr, key) &&
          EVP_DigestSign(digest.get(), out, size, in, in_size));
    return ssl_private_key_success;
  }
  static ssl_private_key_result_t Complete(SSL*, uint8_t*, size_t*, size_t) {
    return ssl_private_key_failure;
  }

  bssl::UniquePtr<SSL_CTX> context_;
  bssl::UniquePtr<SSL> ssl_;
};

TEST_F(VerifiedChainsTest, AKnownChainIsOfNoUseWithoutItsKey) {
  const auto known = std::make_shared<VerifiedChains>();
  const auto context =
      authority_.ContextWith({.credential = authority_.Issue(MakeId("default", "web")),
                              .roots = roots_,
                              .alpn = {"h2"},
                              .verified_chains = known});
  const PrivateKey own = PrivateKey::Generate();
  const std::pair<const PrivateKey*, TlsState> kAttempts[] = {
      {&sleep_.key, TlsState::kOpen}, {&own, TlsState::kFailed}, {&sleep_.key, TlsState::kOpen}};
  uint64_t hits = 0;
  for (const auto& [key, state] : kAttempts) {
    TlsEngine server(context, Role::kServer, mesh_);
    Thief(sleep_.chain, *key).HandshakeWith(server);
    EXPECT_EQ(server.state(), state) << server.failure();
    EXPECT_EQ(known->hits_total(), hits++);
  }
}

TEST_F(VerifiedChainsTest, ContextsShareWhatTheyKnow) {
  const auto known = std::make_shared<VerifiedChains>();
  const auto context = [&](const Credential& credential) {
    return authority_.ContextWith({.credential = credential,
                                   .roots = authority_.roots(),
                                   .alpn = {"h2"},
                                   .verified_chains = known});
  };
  const auto server = context(authority_.Issue(MakeId("default", "web")));
  for (const Credential& client : {sleep_, authority_.Issue(MakeId("default", "other"))}) {
    TlsEngine from(context(client), Role::kClient, mesh_);
    TlsEngine to(server, Role::kServer, mesh_);
    Settle(from, to);
    EXPECT_EQ(from.state(), TlsState::kOpen) << from.failure();
    EXPECT_EQ(from.peer().identity, MakeId("default", "web"));
  }
  EXPECT_EQ(known->hits_total(), 1u);  // The server's chain, when the second client saw it.
}

}  // namespace
}  // namespace heddle::tls
