#include "controlplane/server_certificate.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "lib/base/testing/temporary_directory.h"
#include "lib/base/check.h"
#include "lib/base/testing/fake_clock.h"

namespace heddle::controlplane {
namespace {

struct Server {
  Server() : authority(Open(directory, clock)), certificate(authority, {"heddle.svc"}, clock) {}
  static ca::CertificateAuthority Open(const TemporaryDirectory& directory, const Clock& clock) {
    auto opened = ca::CertificateAuthority::Open(directory.path(), clock);
    CHECK(opened.ok());
    return *std::move(opened);
  }
  // The serial number that a connection is shown now.
  std::string Serial() {
    const auto context = certificate.Context();
    return context.ok() ? (*context)->options().credential->chain.front().serial() : "none";
  }

  TemporaryDirectory directory;
  FakeClock clock;
  ca::CertificateAuthority authority;
  ServerCertificate certificate;
};

TEST(ServerCertificate, IsForTheServersNames) {
  Server server;
  const auto context = server.certificate.Context();
  ASSERT_TRUE(context.ok());
  const auto& names = (*context)->options().credential->chain.front().subject_alt_names();
  ASSERT_EQ(names.size(), 1u);
  EXPECT_EQ(names[0].ToString(), "DNS:heddle.svc");
}

TEST(ServerCertificate, IsRenewedAtHalfOfItsLife) {
  Server server;
  const std::string first = server.Serial();
  server.clock.Advance(absl::Hours(11));
  EXPECT_EQ(server.Serial(), first);
  server.clock.Advance(absl::Hours(1));
  EXPECT_NE(server.Serial(), first);
}

TEST(ServerCertificate, LastsAsLongAsTheRootAndNoLonger) {
  Server server;
  server.clock.SetWall(server.authority.root().not_after() - absl::Hours(2));
  EXPECT_NE(server.Serial(), "none");
  server.clock.SetWall(server.authority.root().not_after() - absl::Seconds(1));
  EXPECT_NE(server.Serial(), "none");
  server.clock.SetWall(server.authority.root().not_after());
  EXPECT_THAT(std::string(server.certificate.Context().status().message()),
              testing::HasSubstr("the root has expired"));
}

}  // namespace
}  // namespace heddle::controlplane
