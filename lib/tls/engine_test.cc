#include "lib/tls/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <link.h>

#include "lib/base/testing/fake_clock.h"
#include "lib/tls/testing/authority.h"
#include "lib/tls/testing/engine_pair.h"

namespace heddle::tls {
namespace {

using testing::HasSubstr;
using testing::Not;

class TlsEngineTest : public testing::Test {
 protected:
  struct Pair {
    TlsEngine client;
    TlsEngine server;
  };

  ContextOptions Options(SpiffeId id) {
    return {
        .credential = authority_.Issue(std::move(id)), .roots = authority_.roots(), .alpn = {"h2"}};
  }
  std::unique_ptr<Pair> Make(ContextOptions client, ContextOptions server) {
    return std::unique_ptr<Pair>(new Pair{
        {authority_.ContextWith(std::move(client)), Role::kClient, OneOfIdentities{{server_id_}}},
        {authority_.ContextWith(std::move(server)), Role::kServer,
         AnyInTrustDomain{"cluster.local"}}});
  }
  std::unique_ptr<Pair> Make() { return Make(Options(client_id_), Options(server_id_)); }
  std::unique_ptr<Pair> MakeOpen() {
    auto pair = Make();
    Settle(pair->client, pair->server);
    EXPECT_EQ(pair->client.state(), TlsState::kOpen) << pair->client.failure();
    EXPECT_EQ(pair->server.state(), TlsState::kOpen) << pair->server.failure();
    return pair;
  }

  static std::string Send(TlsEngine& from, TlsEngine& to, std::string_view text,
                          size_t piece = SIZE_MAX) {
    EXPECT_EQ(from.Write(AsBytes(text)), text.size());
    return Move(from, to, piece);
  }

  FakeClock clock_;
  TestAuthority authority_{clock_};
  const SpiffeId client_id_ = MakeId("default", "sleep");
  const SpiffeId server_id_ = MakeId("default", "httpbin");
};

TEST_F(TlsEngineTest, AgreesAndTellsEachSideWhoTheOtherIs) {
  auto pair = MakeOpen();
  EXPECT_EQ(pair->client.peer().identity, server_id_);
  EXPECT_EQ(pair->server.peer().identity, client_id_);
  for (TlsEngine* engine : {&pair->client, &pair->server}) {
    EXPECT_EQ(engine->alpn(), "h2");
    EXPECT_EQ(engine->cipher(), "TLS_AES_128_GCM_SHA256");
    EXPECT_EQ(engine->group(), "X25519");
  }
}

TEST_F(TlsEngineTest, WorksWhenEveryByteComesAlone) {
  auto pair = Make();
  Settle(pair->client, pair->server, 1);
  ASSERT_EQ(pair->server.state(), TlsState::kOpen) << pair->server.failure();
  EXPECT_EQ(Send(pair->client, pair->server, "hello", 1), "hello");
  EXPECT_EQ(Send(pair->server, pair->client, "world", 1), "world");
}

TEST_F(TlsEngineTest, CarriesMoreThanTheOutputHolds) {
  auto pair = MakeOpen();
  std::string sent(1'000'000, '\0');
  for (size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<char>(i * 31 >> 8);
  std::string received;
  size_t at = 0;
  while (at < sent.size()) {
    at += pair->client.Write(AsBytes(sent).subspan(at));
    EXPECT_LT(pair->client.output().size(), kMaxPendingOutput + 1024);
    received += Move(pair->client, pair->server, 9999);
  }
  EXPECT_EQ(received, sent);
  EXPECT_TRUE(pair->client.output().empty());
}

TEST_F(TlsEngineTest, TakesNothingMoreWhileTheOutputIsFull) {
  auto pair = MakeOpen();
  const std::string much(kMaxPendingOutput + 1, 'x');
  EXPECT_EQ(pair->client.Write(AsBytes(much)), kMaxPendingOutput);
  EXPECT_EQ(pair->client.Write(AsBytes("x")), 0u);
}

TEST_F(TlsEngineTest, OpensAllCompleteRecordsInOnePass) {
  auto pair = MakeOpen();
  for (int i = 0; i < 5; ++i) pair->client.Write(AsBytes("0123456789"));
  const std::vector<uint8_t> bytes(pair->client.output().begin(), pair->client.output().end());
  std::vector<uint8_t> room(1000);
  const auto result = pair->server.Read(bytes, room);
  EXPECT_EQ(result.consumed, bytes.size());
  EXPECT_EQ(result.produced, 50u);
}

TEST_F(TlsEngineTest, StopsWhenTheRoomIsFullAndGoesOnLater) {
  auto pair = MakeOpen();
  for (int i = 0; i < 3; ++i) pair->client.Write(AsBytes("0123456789"));
  std::vector<uint8_t> bytes(pair->client.output().begin(), pair->client.output().end());
  std::span<const uint8_t> rest = bytes;
  std::string received;
  uint8_t room[7];
  for (int i = 0; i < 5; ++i) {
    const auto result = pair->server.Read(rest, room);
    rest = rest.subspan(result.consumed);
    received.append(reinterpret_cast<char*>(room), result.produced);
  }
  EXPECT_EQ(received, "012345678901234567890123456789");
  EXPECT_TRUE(rest.empty());
}

TEST_F(TlsEngineTest, HalfClosesInBothOrders) {
  for (bool client_first : {true, false}) {
    auto pair = MakeOpen();
    TlsEngine& first = client_first ? pair->client : pair->server;
    TlsEngine& second = client_first ? pair->server : pair->client;
    first.CloseNotify();
    EXPECT_EQ(first.state(), TlsState::kWriteClosed);
    Move(first, second);
    EXPECT_EQ(second.state(), TlsState::kReadClosed);
    second.ReceiveEof();
    EXPECT_EQ(second.state(), TlsState::kReadClosed) << second.failure();
    EXPECT_EQ(Send(second, first, "still here"), "still here");
    second.CloseNotify();
    EXPECT_EQ(second.state(), TlsState::kClosed);
    Move(second, first);
    EXPECT_EQ(first.state(), TlsState::kClosed);
    first.ReceiveEof();
    EXPECT_EQ(first.state(), TlsState::kClosed);
  }
}

TEST_F(TlsEngineTest, DropsWhatFollowsCloseNotify) {
  auto pair = MakeOpen();
  pair->client.CloseNotify();
  Move(pair->client, pair->server);
  EXPECT_EQ(Deliver(AsBytes("anything at all"), pair->server), "");
  EXPECT_EQ(pair->server.state(), TlsState::kReadClosed);
}

TEST_F(TlsEngineTest, TellsACutOffStreamFromAClosedOne) {
  auto pair = MakeOpen();
  EXPECT_EQ(Send(pair->client, pair->server, "half of it"), "half of it");
  pair->server.ReceiveEof();
  EXPECT_EQ(pair->server.state(), TlsState::kFailed);
  EXPECT_EQ(pair->server.error(), TlsError::kUncleanEof);
  EXPECT_THAT(pair->server.failure(), HasSubstr("without close_notify"));
}

TEST_F(TlsEngineTest, FailsWhenTheHandshakeIsCutOffAnywhere) {
  auto whole = Make();
  const std::vector<uint8_t> hello(whole->client.output().begin(), whole->client.output().end());
  for (size_t n = 0; n < hello.size(); ++n) {
    auto pair = Make();
    Deliver(std::span(hello).first(n), pair->server);
    ASSERT_EQ(pair->server.state(), TlsState::kHandshake) << n << pair->server.failure();
    pair->server.ReceiveEof();
    ASSERT_EQ(pair->server.error(), TlsError::kUncleanEof) << n;
    ASSERT_TRUE(pair->server.output().empty()) << n;
  }
}

TEST_F(TlsEngineTest, FailsWhenAnyByteOfARecordIsChanged) {
  auto probe = MakeOpen();
  probe->client.Write(AsBytes("hello"));
  const size_t size = probe->client.output().size();
  for (size_t n = 0; n < size; ++n) {
    auto pair = MakeOpen();
    pair->client.Write(AsBytes("hello"));
    std::vector<uint8_t> bytes(pair->client.output().begin(), pair->client.output().end());
    bytes[n] ^= 0x10;
    EXPECT_EQ(Deliver(bytes, pair->server), "");
    pair->server.ReceiveEof();  // A longer length makes the record incomplete.
    ASSERT_EQ(pair->server.state(), TlsState::kFailed) << n;
  }
}

TEST_F(TlsEngineTest, AnswersGarbageWithAnAlertAndAReason) {
  const struct {
    std::string name, bytes;
  } kCases[] = {
      {"HTTP/1", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
      {"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"},
      {"zeros", std::string(100, '\0')},
      {"ones", std::string(100, '\xff')},
      {"an oversized record", std::string("\x16\x03\x01\xff\xff", 5) + std::string(1000, 'x')},
      {"application data first", std::string("\x17\x03\x03\x00\x01x", 6)},
  };
  for (const auto& test : kCases) {
    auto pair = Make();
    Deliver(AsBytes(test.bytes), pair->server);
    EXPECT_EQ(pair->server.state(), TlsState::kFailed) << test.name;
    EXPECT_EQ(pair->server.error(), TlsError::kProtocol) << test.name;
    EXPECT_THAT(pair->server.failure(),
                HasSubstr("broke the TLS protocol during the TLS handshake: "))
        << test.name;
    EXPECT_THAT(pair->server.failure(), Not(HasSubstr("no reason given"))) << test.name;
  }
}

TEST_F(TlsEngineTest, RefusesAPeerOfAnotherRootOnBothSides) {
  const TestAuthority other(clock_, "other root");
  ContextOptions foreign = Options(client_id_);
  foreign.credential = other.Issue(client_id_);
  auto pair = Make(foreign, Options(server_id_));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->server.error(), TlsError::kPeerRefused);
  EXPECT_THAT(pair->server.failure(), HasSubstr("does not end in one of the 1 trusted roots"));
  // The client was open when the server refused it, and reads the alert instead of data.
  EXPECT_EQ(pair->client.state(), TlsState::kFailed);
  EXPECT_EQ(pair->client.error(), TlsError::kAlert);
  EXPECT_THAT(pair->client.failure(), HasSubstr("alert 48 (unknown CA)"));

  ContextOptions server = Options(server_id_);
  server.credential = other.Issue(server_id_);
  pair = Make(Options(client_id_), server);
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->client.error(), TlsError::kPeerRefused);
  EXPECT_EQ(pair->server.error(), TlsError::kAlert);
}

TEST_F(TlsEngineTest, RefusesAServerThatIsNotTheExpectedOne) {
  auto pair = Make(Options(client_id_), Options(MakeId("default", "other")));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->client.error(), TlsError::kPeerRefused);
  EXPECT_THAT(
      pair->client.failure(),
      HasSubstr("the peer is spiffe://cluster.local/ns/default/sa/other, and expected was"));
  EXPECT_THAT(pair->server.failure(), HasSubstr("with alert 46"));
}

TEST_F(TlsEngineTest, RefusesAClientWithoutACertificateOrOfAnotherTrustDomain) {
  auto pair = Make({.roots = authority_.roots(), .alpn = {"h2"}}, Options(server_id_));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->server.state(), TlsState::kFailed);
  EXPECT_THAT(pair->server.failure(), HasSubstr("peer did not return a certificate"));
  EXPECT_EQ(pair->client.state(), TlsState::kFailed);

  pair = Make(Options(MakeId("default", "sleep", "other.domain")), Options(server_id_));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->server.error(), TlsError::kPeerRefused);
  EXPECT_EQ(pair->client.error(), TlsError::kAlert);
}

TEST_F(TlsEngineTest, TakesTheTimeFromTheClock) {
  auto pair = Make();
  clock_.Advance(absl::Hours(25));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->client.error(), TlsError::kPeerRefused);
  EXPECT_THAT(pair->client.failure(), HasSubstr("expired at"));
}

TEST_F(TlsEngineTest, ServesClientsWithoutCertificatesByDnsName) {
  auto server = authority_.ContextWith(
      {.credential = authority_.Issue(DnsNames{{"controller.mesh.svc"}}), .alpn = {"h2"}});
  auto client = authority_.ContextWith({.roots = authority_.roots(), .alpn = {"h2"}});
  for (bool right : {true, false}) {
    TlsEngine a(client, Role::kClient, HasDnsName{{right ? "controller.mesh.svc" : "other.svc"}});
    TlsEngine b(server, Role::kServer, NoCertificate{});
    Settle(a, b);
    EXPECT_EQ(a.state(), right ? TlsState::kOpen : TlsState::kFailed) << a.failure();
    EXPECT_EQ(b.state(), right ? TlsState::kOpen : TlsState::kFailed) << b.failure();
  }
}

TEST_F(TlsEngineTest, RefusesAPeerWithoutACommonProtocol) {
  for (const std::vector<std::string>& offered :
       {std::vector<std::string>{"http/1.1"}, std::vector<std::string>{}}) {
    ContextOptions client = Options(client_id_);
    client.alpn = offered;
    auto pair = Make(client, Options(server_id_));
    Settle(pair->client, pair->server);
    EXPECT_EQ(pair->server.state(), TlsState::kFailed);
    EXPECT_EQ(pair->client.state(), TlsState::kFailed);
  }
  ContextOptions server = Options(server_id_);
  server.alpn = {};
  auto pair = Make(Options(client_id_), server);
  Settle(pair->client, pair->server);
  EXPECT_THAT(pair->client.failure(), HasSubstr("none of our application protocols"));
  EXPECT_EQ(pair->server.state(), TlsState::kFailed);
}

TEST_F(TlsEngineTest, AgreesOnTheGroupsItIsGivenOnly) {
  const std::pair<Group, std::string> kGroups[] = {{Group::kX25519, "X25519"},
                                                   {Group::kP256, "P-256"},
                                                   {Group::kX25519MlKem768, "X25519MLKEM768"}};
  for (const auto& [group, name] : kGroups) {
    ContextOptions client = Options(client_id_), server = Options(server_id_);
    client.groups = {group};
    server.groups = {Group::kX25519, Group::kP256, Group::kX25519MlKem768};
    auto pair = Make(client, server);
    Settle(pair->client, pair->server);
    EXPECT_EQ(pair->server.group(), name) << pair->server.failure();
  }
  ContextOptions client = Options(client_id_);
  client.groups = {Group::kP256};
  auto pair = Make(client, Options(server_id_));
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->server.state(), TlsState::kFailed);
}

TEST_F(TlsEngineTest, SendsAKeyOfThePreferredGroupAndAgreesOnAnotherAllTheSame) {
  ContextOptions both = Options(client_id_), one = Options(client_id_);
  both.groups = {Group::kX25519MlKem768, Group::kX25519};
  one.groups = {Group::kX25519MlKem768};
  auto pair = Make(both, Options(server_id_));
  constexpr size_t kGroupBytes = 2;  // In the list of what is supported; no second key.
  EXPECT_EQ(pair->client.output().size(),
            Make(one, Options(server_id_))->client.output().size() + kGroupBytes);
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->server.group(), "X25519") << pair->server.failure();
  EXPECT_EQ(Send(pair->client, pair->server, "after another try"), "after another try");
}

TEST_F(TlsEngineTest, OffersAesGcmOnly) {
  auto pair = Make();
  const auto hello = pair->client.output();
  // Record header 5, handshake header 4, version 2, random 32, session id with length; then the
  // suites with their length.
  const size_t at = 5 + 4 + 2 + 32 + 1 + hello[5 + 4 + 2 + 32];
  const std::vector<uint8_t> suites(hello.begin() + at, hello.begin() + at + 6);
  EXPECT_EQ(suites, (std::vector<uint8_t>{0, 4, 0x13, 0x01, 0x13, 0x02}));
}

TEST_F(TlsEngineTest, UpdatesItsKeyBeforeTheLimit) {
  ContextOptions client = Options(client_id_), server = Options(server_id_);
  client.records_per_key = 10;
  auto pair = Make(client, server);
  Settle(pair->client, pair->server);
  size_t plain = 0, updating = 0;
  for (int i = 0; i < 100; ++i) {
    pair->client.Write(AsBytes("x"));
    // A key update is one more record in front.
    (pair->client.output().size() > 5 + 1 + 1 + 16 ? updating : plain)++;
    EXPECT_EQ(Move(pair->client, pair->server), "x");
  }
  EXPECT_EQ(plain + updating, 100u);
  EXPECT_NEAR(static_cast<double>(updating), 10, 1);
  EXPECT_EQ(Send(pair->server, pair->client, "back"), "back");
}

TEST_F(TlsEngineTest, RefusesAFloodOfKeyUpdates) {
  ContextOptions client = Options(client_id_);
  client.records_per_key = 1;  // An update in front of every record, as a flooding peer would.
  auto pair = Make(client, Options(server_id_));
  Settle(pair->client, pair->server);
  size_t records = 0;
  while (pair->server.state() == TlsState::kOpen && records < 1000) {
    pair->client.Write(AsBytes("x"));
    Move(pair->client, pair->server);
    ++records;
  }
  EXPECT_EQ(pair->server.error(), TlsError::kLimit);
  EXPECT_NEAR(static_cast<double>(records), static_cast<double>(kMaxPostHandshakeMessages), 2);
  Settle(pair->client, pair->server);
  EXPECT_EQ(pair->client.error(), TlsError::kAlert);
}

TEST_F(TlsEngineTest, AllowsKeyUpdatesThatDataPaysFor) {
  ContextOptions client = Options(client_id_);
  client.records_per_key = 64;  // One update per MiB of full records.
  auto pair = Make(client, Options(server_id_));
  Settle(pair->client, pair->server);
  const std::string block(64 * 1024, 'x');
  for (int i = 0; i < 16 * 100; ++i) {
    ASSERT_EQ(Send(pair->client, pair->server, block).size(), block.size())
        << i << pair->server.failure();
  }
}

TEST_F(TlsEngineTest, HoldsNoOutputMemoryWhenIdle) {
  auto pair = MakeOpen();
  Send(pair->client, pair->server, std::string(100'000, 'x'));
  EXPECT_EQ(pair->client.output().data(), nullptr);
  EXPECT_EQ(pair->server.output().data(), nullptr);
}

// Two libraries with the same symbols in one process end in crashes or in the wrong cryptography.
TEST(TlsLibrary, IsBoringSslAlone) {
  std::vector<std::string> mapped;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* out) {
        static_cast<std::vector<std::string>*>(out)->push_back(info->dlpi_name);
        return 0;
      },
      &mapped);
  ASSERT_FALSE(mapped.empty());
  for (const std::string& name : mapped) {
    EXPECT_THAT(name, Not(HasSubstr("libssl"))) << name;
    EXPECT_THAT(name, Not(HasSubstr("libcrypto"))) << name;
  }
}

TEST(TlsContext, RefusesAKeyThatIsNotTheLeafs) {
  FakeClock clock;
  TestAuthority authority(clock);
  Credential credential = authority.Issue(MakeId("a", "b"));
  credential.key = PrivateKey::Generate();
  auto context = TlsContext::Create({.credential = credential, .roots = authority.roots()}, clock);
  ASSERT_FALSE(context.ok());
  EXPECT_THAT(context.status().message(), HasSubstr("cannot be used with its private key"));
}

TEST(TlsContext, RefusesOptionsThatCannotWork) {
  FakeClock clock;
  EXPECT_FALSE(TlsContext::Create({.alpn = {""}}, clock).ok());
  EXPECT_FALSE(TlsContext::Create({.alpn = {std::string(256, 'x')}}, clock).ok());
  EXPECT_FALSE(TlsContext::Create({.groups = {}}, clock).ok());
  EXPECT_FALSE(TlsContext::Create({.records_per_key = 0}, clock).ok());
}

}  // namespace
}  // namespace heddle::tls
