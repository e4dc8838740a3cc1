#include "controlplane/ca/root_rotation.h"

#include <absl/strings/str_cat.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "controlplane/ca/root_secret.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/tls/peer_verifier.h"
#include "lib/tls/trust_roots.h"

namespace heddle::controlplane::ca {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

const absl::Time kStart = absl::FromUnixSeconds(1'700'000'000);

StoredRoots Made(absl::Time now) {
  auto made = MakeRoots(now);
  CHECK(made.ok());
  return *std::move(made);
}

StoredRoots Advanced(const StoredRoots& stored, absl::Time now) {
  const auto next = Advance(stored, now);
  CHECK(next.ok() && next->has_value());
  return **next;
}

StoredRoots Asked(absl::Time now) {
  StoredRoots stored = Made(now);
  stored.rotation_asked = true;
  return stored;
}

size_t RootsTrusted(const StoredRoots& stored, absl::Time now) {
  const auto keys = KeysAt(stored, now);
  CHECK(keys.ok());
  return tls::ParseCertificatesPem(keys->roots_pem)->size();
}

TEST(RootRotation, GoesThroughItsPhasesByTheClockAlone) {
  EXPECT_FALSE(Advance(Made(kStart), kStart)->has_value()) << "nobody has asked";
  const StoredRoots before = Asked(kStart);
  const StoredRoots under_way = Advanced(before, kStart);
  EXPECT_EQ(under_way.rotation_began, kStart);
  EXPECT_FALSE(under_way.rotation_asked);
  const auto current = KeysAt(before, kStart)->issuer.root();
  const auto next = tls::ParseCertificatesPem(under_way.next_certificate_pem)->front();
  const struct {
    absl::Duration since;
    RotationPhase phase;
    const tls::Certificate& signs;
    size_t trusted;
    bool advances;
  } cases[] = {
      {absl::ZeroDuration(), RotationPhase::kDistributing, current, 2, false},
      {kRotationStep - absl::Seconds(1), RotationPhase::kDistributing, current, 2, false},
      {kRotationStep, RotationPhase::kSwitched, next, 2, false},
      {2 * kRotationStep - absl::Seconds(1), RotationPhase::kSwitched, next, 2, false},
      {2 * kRotationStep, RotationPhase::kOver, next, 1, true},
      {10 * kRotationStep, RotationPhase::kOver, next, 1, true},
  };
  for (const auto& test : cases) {
    const absl::Time now = kStart + test.since;
    const auto keys = KeysAt(under_way, now);
    ASSERT_TRUE(keys.ok()) << keys.status();
    EXPECT_EQ(PhaseAt(under_way, now), test.phase) << test.since;
    EXPECT_EQ(keys->issuer.root(), test.signs) << test.since;
    EXPECT_EQ(RootsTrusted(under_way, now), test.trusted) << test.since;
    EXPECT_EQ(Advance(under_way, now)->has_value(), test.advances) << test.since;
  }
  const StoredRoots after = Advanced(under_way, kStart + 2 * kRotationStep);
  EXPECT_EQ(after.certificate_pem, under_way.next_certificate_pem);
  EXPECT_FALSE(after.rotation_began.has_value());
  EXPECT_EQ(RootsTrusted(after, kStart + 2 * kRotationStep), 1U);
  EXPECT_FALSE(Advance(after, kStart + 2 * kRotationStep)->has_value());
}

TEST(RootRotation, AnotherOneIsNotBegunWhileOneIsUnderWay) {
  StoredRoots stored = Advanced(Asked(kStart), kStart);
  stored.rotation_asked = true;
  const StoredRoots after = Advanced(stored, kStart + absl::Hours(1));
  stored.rotation_asked = false;
  EXPECT_EQ(after, stored);
}

TEST(RootRotation, TakesARootThatSomebodyHasPutThere) {
  StoredRoots stored = Asked(kStart);
  const StoredRoots theirs = Made(kStart);
  stored.next_certificate_pem = theirs.certificate_pem;
  stored.next_key_pem = theirs.key_pem;
  EXPECT_EQ(RootsTrusted(stored, kStart), 1U) << "nobody trusts it before the rotation";
  EXPECT_EQ(Advanced(stored, kStart).next_certificate_pem, theirs.certificate_pem);
  stored.next_key_pem = Made(kStart).key_pem;
  EXPECT_THAT(std::string(Advance(stored, kStart).status().message()),
              HasSubstr("next-root-cert.pem and next-root-key.pem"));
}

// A certificate as a pod has it: leaf, key, and whom it trusts.
struct Pod {
  tls::Certificate leaf;
  std::shared_ptr<const tls::TrustRoots> roots;
  absl::Time renew_at;
};

Pod Issue(const StoredRoots& stored, absl::Time heard, absl::Duration wish, FakeClock& clock) {
  CertificateAuthority authority(clock);
  auto keys = KeysAt(stored, clock.Wall());
  CHECK(keys.ok());
  authority.Use(*std::move(keys));
  authority.LimitLeaves(LeavesEnd(heard));
  const auto credential = authority.IssueServer({"pod"});
  CHECK(credential.ok());
  const tls::Certificate leaf = credential->chain.front();
  const auto roots = tls::TrustRoots::FromPem(authority.roots_pem());
  CHECK(roots.ok());
  return {leaf, *roots, clock.Wall() + std::min(wish, leaf.not_after() - clock.Wall())};
}

// Pods renew at all times of the day, some of them at the last moment, some from a controller that has
// not heard of anything for hours: whatever two certificates are valid at one time trust each other.
TEST(RootRotation, EveryTwoPodsTrustEachOtherAtAllTimes) {
  FakeClock clock;
  const absl::Time begin = clock.Wall();
  StoredRoots stored = Made(begin);
  const StoredRoots not_heard = stored;
  std::vector<Pod> pods;
  const absl::Duration half = absl::Hours(12);
  for (int i = 0; i < 8; ++i) pods.push_back(Issue(stored, begin, half, clock));
  const absl::Time asked = begin + absl::Hours(7);
  size_t verified = 0;
  for (int hour = 0; hour < 100; ++hour) {
    const absl::Time now = clock.Wall();
    if (now == asked) stored.rotation_asked = true;
    if (const auto next = Advance(stored, now); next.ok() && next->has_value()) stored = **next;
    for (size_t i = 0; i < pods.size(); ++i) {
      const bool due = (hour + static_cast<int>(i)) % 12 == 0 || now >= pods[i].renew_at;
      const bool at_last = i >= 4;  // Renews when the certificate ends.
      if (at_last ? now < pods[i].leaf.not_after() : !due) continue;
      // Pods 6 and 7 have a controller that heard last when the rotation was asked for, until it
      // may sign no more.
      const bool cut_off = i >= 6 && now >= asked && now + absl::Hours(1) < LeavesEnd(asked);
      pods[i] = cut_off ? Issue(not_heard, asked, half, clock) : Issue(stored, now, half, clock);
    }
    for (const Pod& a : pods) {
      for (const Pod& b : pods) {
        const std::string_view chain[] = {b.leaf.der()};
        const auto seen =
            tls::VerifyPeer(*a.roots, tls::HasDnsName{{"pod"}}, tls::PeerRole::kServer, chain, now);
        EXPECT_TRUE(seen.has_value()) << hour << "h: " << seen.error().sentence;
        ++verified;
      }
    }
    clock.Advance(absl::Hours(1));
  }
  EXPECT_EQ(PhaseAt(stored, clock.Wall()), RotationPhase::kNone);
  EXPECT_NE(stored.certificate_pem, not_heard.certificate_pem) << "it has happened";
  EXPECT_EQ(verified, 6400U);
}

TEST(RootRotation, WhoHasNotHeardOfTheRootsForLongSignsNothing) {
  FakeClock clock;
  CertificateAuthority authority(clock);
  EXPECT_EQ(authority.IssueServer({"a"}).status().code(), absl::StatusCode::kUnavailable);
  authority.Use(*KeysAt(Made(clock.Wall()), clock.Wall()));
  const absl::Time heard = clock.Wall();
  authority.LimitLeaves(LeavesEnd(heard));
  EXPECT_EQ(authority.IssueServer({"a"})->chain.front().not_after(), heard + kLeafLifetimeMax);
  clock.Advance(absl::Hours(6));
  EXPECT_EQ(authority.IssueServer({"a"})->chain.front().not_after(), LeavesEnd(heard));
  clock.Advance(kRotationStep);
  EXPECT_EQ(authority.IssueServer({"a"}).status().code(), absl::StatusCode::kUnavailable);
}

TEST(RootSecret, KeepsWhatIsStored) {
  const absl::Time now = absl::FromUnixSeconds(1'700'000'000);
  const StoredRoots stored = Advanced(Asked(now), now);
  const auto read = ReadRootSecret(NewRootSecret(stored));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, stored);
}

TEST(RootSecret, ChangesNothingElseOfTheObject) {
  const StoredRoots first = Made(kStart);
  Json secret = Json::parse(NewRootSecret(first));
  secret["metadata"]["resourceVersion"] = "7";
  secret["metadata"]["labels"] = {{"team", "net"}};
  secret["metadata"]["annotations"] = {{"heddle.io/rotate", "now"}, {"note", "x"}};
  secret["data"]["mine"] = "eA==";
  const auto asked = ReadRootSecret(secret.dump());
  ASSERT_TRUE(asked.ok());
  EXPECT_TRUE(asked->rotation_asked);
  const auto text = WithRoots(secret.dump(), Advanced(*asked, kStart));
  ASSERT_TRUE(text.ok());
  const Json written = Json::parse(*text);
  EXPECT_EQ(written.at("metadata").at("resourceVersion"), "7");
  EXPECT_EQ(written.at("metadata").at("labels"), Json({{"team", "net"}}));
  EXPECT_EQ(written.at("data").at("mine"), "eA==");
  EXPECT_EQ(written.at("metadata").at("annotations"),
            Json({{"note", "x"},
                  {"heddle.io/rotation-began", "2023-11-14T22:13:20+00:00"},
                  {"heddle.io/rotation-step", "90000"}}));
}

TEST(RootSecret, SaysWhatIsWrongWithoutQuotingIt) {
  const std::string good = NewRootSecret(Made(kStart));
  const auto with = [&good](const Json& patch) {
    Json json = Json::parse(good);
    json.merge_patch(patch);
    return json.dump();
  };
  const Json began = {{"heddle.io/rotation-began", "2023-11-14T22:13:20Z"}};
  const struct {
    std::string text;
    const char* want;
  } cases[] = {
      {"[]", "no object"},
      {with({{"data", {{"root-key.pem", "%"}}}}), "root-key.pem is not base64"},
      {with({{"data", {{"root-key.pem", "c2VjcmV0"}}}}), "root-key.pem"},
      {with({{"data", {{"root-cert.pem", nullptr}}}}), "root-cert.pem"},
      {with({{"metadata", {{"annotations", {{"heddle.io/rotation-began", "soon"}}}}}}), "a time"},
      {with({{"metadata", {{"annotations", began}}}}), "a number of seconds"},
  };
  for (const auto& test : cases) {
    const auto read = ReadRootSecret(test.text);
    const absl::Status status = read.ok() ? KeysAt(*read, kStart).status() : read.status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(test.want));
    EXPECT_THAT(std::string(status.message()), testing::Not(HasSubstr("secret")));
  }
}

TEST(RootSecret, TheBundleIsAConfigMap) {
  EXPECT_EQ(RootsInConfigMap(RootConfigMap("pem")), "pem");
  EXPECT_EQ(RootsInConfigMap("{}"), "");
  EXPECT_EQ(RootsInConfigMap("oops"), "");
}

}  // namespace
}  // namespace heddle::controlplane::ca
