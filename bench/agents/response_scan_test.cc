#include "bench/agents/response_scan.h"

#include <gtest/gtest.h>

#include "proto/discovery.pb.h"

namespace heddle::bench {
namespace {

std::string Response() {
  envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  response.set_type_url("type");
  response.set_nonce("7");
  response.set_system_version_info("3");
  response.add_removed_resources("gone");
  for (const char* name : {"a", "b"}) {
    auto& resource = *response.add_resources();
    resource.set_name(name);
    resource.set_version("1");
    resource.mutable_resource()->set_value(std::string("value of ") + name);
  }
  return response.SerializeAsString();
}

TEST(ResponseScan, FindsWhatIsAcknowledgedAndTheResourceThatIsLookedFor) {
  const auto scanned = ScanResponse(Response(), "b");
  ASSERT_TRUE(scanned.ok()) << scanned.status();
  EXPECT_EQ(scanned->type_url, "type");
  EXPECT_EQ(scanned->nonce, "7");
  EXPECT_EQ(scanned->resources, 2);
  EXPECT_EQ(scanned->found, "value of b");
  EXPECT_FALSE(ScanResponse(Response(), "gone")->found.has_value());
}

TEST(ResponseScan, SaysThatHalfAMessageIsNone) {
  const std::string bytes = Response();
  EXPECT_FALSE(ScanResponse(std::string_view(bytes).substr(0, bytes.size() / 2), "b").ok());
  EXPECT_FALSE(ScanResponse("\xff\xff", "b").ok());
}

}  // namespace
}  // namespace heddle::bench
