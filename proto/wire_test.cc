#include <gtest/gtest.h>

#include <string>

#include "proto/authorization.pb.h"
#include "proto/ca.pb.h"
#include "proto/discovery.pb.h"
#include "proto/node.pb.h"
#include "proto/workload.pb.h"

// The field numbers are the contract with Istio: the bytes are written out by hand from its field tables
// (key = number << 3 | wire type).

namespace heddle {
namespace {

TEST(Wire, WorkloadFieldNumbersAreIstios) {
  istio::workload::Address address;
  auto& workload = *address.mutable_workload();
  workload.set_name("a");
  workload.add_addresses("\x0a\x00\x00\x01", 4);
  workload.set_tunnel_protocol(istio::workload::HBONE);
  workload.add_authorization_policies("p");
  workload.set_uid("u");
  (*workload.mutable_services())["s"].add_ports()->set_service_port(80);
  workload.mutable_capacity()->set_value(2);
  const std::string want = std::string("\x0a\x24", 2) + "\x0a\x01" "a" + std::string("\x1a\x04\x0a\x00\x00\x01", 6) +
                           "\x28\x01" + "\x82\x01\x01" "p" + "\xa2\x01\x01" "u" +
                           "\xb2\x01\x09\x0a\x01" "s" "\x12\x04\x0a\x02\x08\x50" + "\xda\x01\x02\x08\x02";
  EXPECT_EQ(address.SerializeAsString(), want);
}

TEST(Wire, ClauseMatchesAreFieldTwo) {
  istio::security::Authorization policy;
  policy.set_action(istio::security::DENY);
  policy.add_rules()->add_clauses()->add_matches()->add_not_principals()->mutable_presence();
  EXPECT_EQ(policy.SerializeAsString(), "\x20\x01\x2a\x08\x0a\x06\x12\x04\x22\x02\x22" + std::string(1, '\0'));
}

TEST(Wire, DeltaResponseSkipsFieldThree) {
  envoy::service::discovery::v3::DeltaDiscoveryResponse response;
  response.add_resources()->set_name("r");
  response.set_type_url("t");
  response.set_nonce("n");
  response.add_removed_resources("x");
  EXPECT_EQ(response.SerializeAsString(), "\x12\x03\x1a\x01r\x22\x01t\x2a\x01n\x32\x01x");
}

TEST(Wire, NodePodAndCertificateRequestKeepTheirNumbers) {
  node::v1::NodePod pod;
  pod.set_uid("u");
  pod.set_workload_uid("w");
  pod.mutable_interception()->set_fail_mode(node::v1::OPEN);
  EXPECT_EQ(pod.SerializeAsString(), "\x0a\x01u\x42\x02\x20\x01\x52\x01w");
  istio::v1::auth::IstioCertificateRequest request;
  request.set_csr("c");
  request.set_validity_duration(1);
  EXPECT_EQ(request.SerializeAsString(), "\x0a\x01" "c" "\x18\x01");
}

}  // namespace
}  // namespace heddle
