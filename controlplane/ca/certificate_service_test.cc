#include "controlplane/ca/certificate_service.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "controlplane/ca/certificate_authority.h"
#include "lib/base/testing/temporary_directory.h"
#include "lib/base/testing/fake_clock.h"
#include "lib/io/testing/co_test.h"
#include "lib/tls/signing_request.h"
#include "lib/tls/testing/authority.h"

namespace heddle::controlplane::ca {
namespace {

using testing::HasSubstr;

// An authority and a service that knows one pod: shop/cart on node n1.
struct Desk {
  Desk()
      : authority(Open(directory.path(), clock)),
        service(authority, [](const std::string& node, const std::string& identity) {
          return node == "n1" && identity == "spiffe://cluster.local/ns/shop/sa/cart";
        }) {}
  static CertificateAuthority Open(const std::string& path, const Clock& clock) {
    auto opened = CertificateAuthority::Open(path, clock);
    CHECK(opened.ok());
    return *std::move(opened);
  }
  static CertificateRequest Request(std::string identity) {
    const tls::PrivateKey key = tls::PrivateKey::Generate();
    return {.identity = std::move(identity),
            .signing_request = tls::CreateSigningRequest(key, tls::MakeId("x", "y")),
            .lifetime = absl::Hours(1)};
  }

  TemporaryDirectory directory;
  FakeClock clock;
  CertificateAuthority authority;
  CertificateService service;
};

CO_TEST(CertificateService, SignsForALivePodOfTheNode) {
  Desk desk;
  auto request = Desk::Request("spiffe://cluster.local/ns/shop/sa/cart");
  const auto chain = co_await desk.service.Sign("n1", std::move(request), {});
  CO_ASSERT_TRUE(chain.ok());
  const auto leaf = tls::ParseCertificatesPem(chain->front());
  CO_ASSERT_TRUE(leaf.ok());
  EXPECT_EQ(tls::ClaimedSpiffeId(leaf->front())->ToString(),
            "spiffe://cluster.local/ns/shop/sa/cart");
}

CO_TEST(CertificateService, RefusesAllElse) {
  Desk desk;
  const struct {
    const char* node;
    const char* identity;
    absl::StatusCode code;
  } cases[] = {
      {"n2", "spiffe://cluster.local/ns/shop/sa/cart", absl::StatusCode::kPermissionDenied},
      {"", "spiffe://cluster.local/ns/shop/sa/cart", absl::StatusCode::kPermissionDenied},
      {"n1", "spiffe://cluster.local/ns/shop/sa/other", absl::StatusCode::kPermissionDenied},
      {"n1", "spiffe://other.domain/ns/shop/sa/cart", absl::StatusCode::kPermissionDenied},
      {"n1", "spiffe://cluster.local/ns/shop/sa/cart/", absl::StatusCode::kInvalidArgument},
      {"n1", "SPIFFE://cluster.local/ns/shop/sa/cart", absl::StatusCode::kInvalidArgument},
      {"n1", "", absl::StatusCode::kInvalidArgument},
  };
  for (const auto& test : cases) {
    auto request = Desk::Request(test.identity);
    const auto chain = co_await desk.service.Sign(test.node, std::move(request), {});
    EXPECT_EQ(chain.status().code(), test.code) << test.node << " " << test.identity;
  }
}

CO_TEST(CertificateService, PassesOnWhatIsWrongWithTheRequest) {
  Desk desk;
  auto request = Desk::Request("spiffe://cluster.local/ns/shop/sa/cart");
  request.signing_request = "garbage";
  const auto chain = co_await desk.service.Sign("n1", std::move(request), {});
  EXPECT_EQ(chain.status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace heddle::controlplane::ca
